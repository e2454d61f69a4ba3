package coverage

// Fault is a kind of thing that goes wrong, or that a person does, in a world.
type Fault uint8

// The faults.
const (
	AgentKilled Fault = iota
	AgentFrozen
	AgentStopped
	GuardKilled
	GuardDeaf
	HostCrashed
	PostmasterKilled
	PostgresHung
	PromotedByHand
	PostgresByHand
	BackendKilled
	DataGone
	DataForeign
	DataSpoiled
	StoreCut
	StoreCutOneWay
	MembersCut
	StoreDown
	StoreServerKilled
	StoreServerFrozen
	StoreSplit
	StoreTrouble
	StoreWiped
	KeysEdited
	SwitchoverAsked
	FailoverAsked
	PauseSet
	ConfigEdited
	ConfigBroken
	RestartAsked
	ReinitAsked
	LinkCut
	LinkFlaps
	LinkBad
	StoreServerCut
	DiskStalled
	DiskSlow
	DiskFull
	DiskReadOnly
	DiskLied
	LogStalled
	ClockDrifts
	ClockSet
	HostSuspended
	AgentKilledAmid
	SmallFaults

	faultsMax
)

var faultNames = [faultsMax]string{
	AgentKilled:       "the agent is killed",
	AgentFrozen:       "the agent is frozen",
	AgentStopped:      "the agent is asked to stop",
	GuardKilled:       "the guard is killed",
	GuardDeaf:         "the guard takes no deadline",
	HostCrashed:       "the host crashes",
	PostmasterKilled:  "the postmaster is killed",
	PostgresHung:      "PostgreSQL hangs",
	PromotedByHand:    "somebody promotes by hand",
	PostgresByHand:    "somebody starts or stops PostgreSQL by hand",
	BackendKilled:     "a backend is killed",
	DataGone:          "the data directory is emptied",
	DataForeign:       "another cluster's data is put there",
	DataSpoiled:       "the data directory is spoiled",
	StoreCut:          "cut from the store, both ways",
	StoreCutOneWay:    "cut from the store, one way",
	MembersCut:        "cut from other members",
	StoreDown:         "the store is down",
	StoreServerKilled: "a server of the store is killed",
	StoreServerFrozen: "a server of the store is frozen",
	StoreSplit:        "the store is split",
	StoreTrouble:      "a trouble of this kind of store",
	StoreWiped:        "the store is wiped",
	KeysEdited:        "somebody edits keys",
	SwitchoverAsked:   "a switchover is asked for",
	FailoverAsked:     "a failover is asked for",
	PauseSet:          "a pause begins or ends",
	ConfigEdited:      "the configuration is edited",
	ConfigBroken:      "the configuration is broken",
	RestartAsked:      "a restart is ordered",
	ReinitAsked:       "a reinitialization is ordered",
	LinkCut:           "a way between two members is cut",
	LinkFlaps:         "a way flaps",
	LinkBad:           "a way is slow or loses packets",
	StoreServerCut:    "cut from one server of the store",
	DiskStalled:       "the data volume stalls",
	DiskSlow:          "the data volume is slow to sync",
	DiskFull:          "the data volume is full",
	DiskReadOnly:      "the data volume is read-only",
	DiskLied:          "the disk lost what was synced",
	LogStalled:        "the event log's volume stalls",
	ClockDrifts:       "the boot clock drifts",
	ClockSet:          "the wall clock is set",
	HostSuspended:     "the host is suspended",
	AgentKilledAmid:   "the agent is killed between two effects",
	SmallFaults:       "other small faults of messages and effects",
}

// String says what happens.
func (f Fault) String() string { return faultNames[f] }

// Faults are all of them.
func Faults() []Fault {
	all := make([]Fault, faultsMax)
	for i := range all {
		all[i] = Fault(i)
	}
	return all
}
