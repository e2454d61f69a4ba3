package scenario

import "time"

var diskCommand = Command{
	Name: "disk", Forms: []string{"disk of <members> stalled|full|wal-full|read-only|well", "disk of <members> slow by <time>", "disk of <members> log stalled|well"},
	Does: "what the data directory is on answers nothing, has no room (for data, or for WAL), takes no writes, or needs that time for each sync, until it is " +
		"well. The log is the volume of the agent's event log",
	parse: parseDisk,
}

func parseDisk(w *words) (action, error) {
	x, err := w.members()
	if err != nil {
		return nil, err
	}
	if w.is("log") {
		what := w.take()
		if what != "stalled" && what != "well" {
			return nil, unknown(what, "stalled", "well")
		}
		return x.onMachines(func(m Machines, member string) error { return m.StallLog(member, what == "stalled") }), nil
	}
	var slow time.Duration
	disk := Disk(w.take())
	switch disk {
	case DiskStalled, DiskFull, DiskWALFull, DiskReadOnly, DiskWell:
	case DiskSlow:
		if !w.is("by") {
			return nil, unknown(w.peek(), "by")
		}
		slow, err = w.duration()
	default:
		return nil, unknown(string(disk), "stalled", "full", "wal-full", "read-only", "slow", "well")
	}
	return x.onMachines(func(m Machines, member string) error { return m.SetDisk(member, disk, slow) }), err
}
