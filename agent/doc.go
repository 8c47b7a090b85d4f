// Package agent is one host of a fleet: it joins, tells what the host can run, keeps
// the engines that the fleet desires running, and carries requests to them.
//
// The parts: link holds the sessions with coordinators, store the models' files,
// runner the life of each instance, serve the request streams, probe the devices.
// [Run] wires them and decides nothing. Everything an agent keeps is below one data
// directory:
//
//	pki/               key and certificate
//	coordinators.json  where coordinators are
//	desired.json       what to run
//	models/            files of models
//	run/               sockets, pid files and records of engines
//	log/               output of engines
//	lock               held while an agent runs
package agent
