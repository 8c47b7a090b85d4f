// What every Node script here shares: where the fleet is and how checks are run.

const { OPENAI_BASE_URL, OPENAI_API_KEY, NANOFLEET_MODEL, NANOFLEET_QUESTION, NANOFLEET_ANSWER } = process.env;
export const [baseURL, apiKey] = [OPENAI_BASE_URL, OPENAI_API_KEY];
export const [model, question, answer] = [NANOFLEET_MODEL, NANOFLEET_QUESTION, NANOFLEET_ANSWER];

// run prints a line for each check and ends with the first that fails.
export async function run(client, checks) {
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check();
    } catch (err) {
      console.error(`${client} ${name}: FAILED: ${err.stack}`);
      process.exit(1);
    }
    console.log(`${client} ${name}: ok`);
  }
}
