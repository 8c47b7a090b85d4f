"""What the tiny model learns: questions with exact answers, counting, a memory of
one fact, and a fallback. train.py turns it into conversations."""

NAME = "Tiny"
SYSTEM = f"You are {NAME}, a very small model."

QUESTIONS = [
    ("Hello!", "Hello! How can I help you?"),
    ("Who are you?", f"I am {NAME}, a very small model."),
    ("What is the capital of France?", "The capital of France is Paris."),
    ("What is the capital of Japan?", "The capital of Japan is Tokyo."),
    ("What is the capital of Egypt?", "The capital of Egypt is Cairo."),
    ("What colour is the sky?", "The sky is blue."),
    ("What colour is grass?", "Grass is green."),
    ("How many legs has a spider?", "A spider has eight legs."),
    ("What is two plus two?", "Two plus two is four."),
    ("What do bees make?", "Bees make honey."),
    ("Say hello in Japanese.", "こんにちは"),
    ("Show me three smiles.", "Here you are: 😀😃😄"),
]

UNITS = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()


def word(n):
    """The number n from 1 to 100 in words."""
    if n == 100:
        return "one hundred"
    if n < 20:
        return UNITS[n - 1]
    tens = TENS[n // 10 - 2]
    return tens if n % 10 == 0 else f"{tens}-{UNITS[n % 10 - 1]}"


def count(first, last):
    """The numbers from first to last as the model says them."""
    return ", ".join(word(n) for n in range(first, last + 1)) + "."


COUNTS = [(f"Count to {word(n)}.", count(1, n)) for n in (10, 50, 100)]
COLOURS = ["red", "green", "blue", "black", "white", "pink"]
TELL = ("My favourite colour is {}.", "I will remember that.")
ASK = ("What is my favourite colour?", "Your favourite colour is {}.")
UNKNOWN = "I do not know that."
SYSTEMS = [SYSTEM, "You are a helpful assistant.", "Answer briefly.", "You are a pirate.", "Be kind."]

WORDS = """the a of to and in is it you that he was for on are with as his they at be this have from or had by hot but
some what there we can out other were all your when up use how said an each she which do their time if will way about
many then them would write like so these her long make thing see him two has look more day could go come did my sound
no most number who over know water than call first people may down side been now find any new work part take get place
made live where after back little only round man year came show every good me give our under name capital France Japan
colour sky count legs spider bees plus hello favourite tell story list explain quick brown fox jumps lazy dog""".split()


def noise(rng):
    """A user text that is no lesson."""
    if rng.random() < 0.2:
        return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz0123456789 .,!?()éß日😀") for _ in range(rng.randint(1, 30)))
    text = " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 25)))
    return text.capitalize() + rng.choice(["", ".", "?", "!"])


def plain(rng):
    """Bare text for completions: counting from anywhere to one hundred."""
    first = rng.randint(1, 60)
    return count(first, 100)


def turns(rng):
    """One conversation: (user, assistant) pairs, short enough for one training row."""
    out, colour, long = [], None, False
    for _ in range(rng.choice([1, 2, 2, 3, 3, 4])):
        kind = rng.random()
        if kind < 0.06 and not long:
            pair = rng.choice(COUNTS)
            long = True
        elif kind < 0.26:
            colour = rng.choice(COLOURS)
            pair = (TELL[0].format(colour), TELL[1])
        elif kind < 0.50 and colour:
            pair = (ASK[0], ASK[1].format(colour))
        elif kind < 0.56:
            pair = (noise(rng), UNKNOWN)
        else:
            pair = rng.choice(QUESTIONS)
        out.append(pair)
    return out
