package arch

// module is the path before every package of ours.
const module = "github.com/nanofleet/nanofleet/"

// rule says what a room may import of the house. The longest room that holds a
// package is the one whose rule counts; packages that share a rule may import each
// other.
type rule struct {
	room string
	may  []string
	why  string
}

// arrows are the imports that the house allows.
var arrows = []rule{
	{"cmd", []string{"coordinator", "agent", "engine", "gateway", "api", "internal", "wire"},
		"cmd wires roles together and does nothing else"},
	{"coordinator", []string{"coordinator", "gateway", "wire", "api", "internal", "engine/abi", "engine/tokenizer", "engine/chat", "engine/model", "engine/weights", "engine/sched"},
		"a coordinator builds without cgo: it may use the pure Go parts of the engine only"},
	{"coordinator/state", nil, "the state machine depends on nothing that may change its verdicts"},
	{"coordinator/placement", []string{"coordinator/state"}, "placement thinks about a snapshot and does nothing"},
	{"coordinator/router", []string{"wire", "engine/sched"}, "policies must not know how streams are carried"},
	{"agent", []string{"agent", "gateway", "wire", "internal", "engine"}, "an agent acts for coordinators and must not depend on one"},
	{"gateway", []string{"wire", "api", "internal", "engine/tokenizer", "engine/chat"},
		"the gateway declares what it needs and knows nothing of raft, agents or QUIC"},
	{"engine", []string{"engine/abi", "engine/sched", "engine/kv", "engine/sample", "engine/model", "engine/weights", "engine/tokenizer", "engine/chat"},
		"the engine knows nothing of fleets"},
	{"engine/server", []string{"engine", "wire", "internal"}, "the engine process is where engine and wire meet"},
	{"engine/abi", nil, "the contract depends on nobody"},
	{"engine/sched", []string{"engine/abi", "engine/kv"}, "a pure core"},
	{"engine/kv", []string{"engine/abi"}, "a pure core"},
	{"engine/sample", []string{"engine/abi"}, "a pure core"},
	{"engine/tokenizer", nil, "a leaf"},
	{"engine/chat", nil, "a leaf"},
	{"engine/weights", []string{"engine/abi"}, "a leaf"},
	{"engine/model", []string{"engine/abi", "engine/chat", "engine/tokenizer", "engine/weights"}, "architectures become plans without any backend"},
	{"engine/ref", []string{"engine/abi", "engine/sample", "engine/weights"}, "backends implement the ABI and know no engine"},
	{"engine/cpu", []string{"engine/abi", "engine/internal/capi"}, "backends implement the ABI and know no engine"},
	{"engine/gpu", []string{"engine/abi", "engine/internal/capi"}, "backends implement the ABI and know no engine"},
	{"engine/internal/capi", []string{"engine/abi"}, "marshalling between the ABI's two faces"},
	{"wire", nil, "the wire contract depends on the standard library and protobuf"},
	{"api", nil, "users of the client get the client only"},
	{"api/bench", []string{"api", "internal/words"}, "the load generator is a client that reports to people"},
	{"internal", []string{"wire"}, "shared tools know the wire at most"},
	{"testing", []string{"agent", "api", "cmd", "coordinator", "engine", "gateway", "internal", "wire"}, "tests may look at everything"},
}

// pure are the cores that take time, randomness and inputs as arguments.
var pure = []string{
	"engine/abi", "engine/sched", "engine/kv", "engine/sample", "engine/chat", "engine/tokenizer",
	"coordinator/state", "coordinator/placement",
}
