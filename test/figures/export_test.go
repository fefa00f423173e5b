package figures

// The parts of the package that can be right or wrong.
var (
	CPUModel       = cpuModel
	ParseEnded     = parseEnded
	ParseMemory    = parseMemory
	ParseSchedstat = parseSchedstat
)
