// Package doctor judges what was found out about a worker's surroundings: facts
// in, findings out, each with what to do. It asks nobody and changes nothing;
// who gathers the facts is app/cli.
package doctor
