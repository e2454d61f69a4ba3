package kubernetes

import (
	"slices"
	"strings"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
)

// Model is a Kubernetes control plane with the objects of one cluster.
type Model struct {
	env     kernel.Env
	servers []*server
	// rev is etcd's revision, which every object's resourceVersion is taken from.
	rev  uint64
	uid  uint32
	objs []*version // by number: four Endpoints, then the pods; nil: absent
	pods []string   // member of the pod with number firstPod + i
	// changed is when the lease last changed hands or was renewed, epoch the resourceVersion at which its holder got it.
	changed events.Instant
	epoch   uint64

	log     []*version // what watch caches hold, in order; the first has the index base
	base    int
	members []*wall // wall clocks by member, in order of their first Open

	begun    map[string]held // what sessions go on with, by member
	etcd     int             // the server whose etcd member leads, -1 for none
	election int             // counts, so that a later change makes a planned election void
	sessions uint32
	trouble  trouble
}

// wall is a member's wall clock: true time and an error.
type wall struct {
	member string
	off    time.Duration
}

var _ stores.Model = (*Model)(nil)

// server is an API server and, on the same host, a member of etcd (kubeadm's stacked topology).
type server struct {
	up, frozen bool
	side       int
	life       int            // counts its lives: answers of a former one do not arrive
	ready      events.Instant // before that it answers 503
	cached     [resources]int // up to which index of the log its watch caches have got
	lagging    events.Instant // until then the caches stand still
	streams    []*stream
	stopped    []func() // arrived while it was frozen
}

// New makes a control plane of 1 to 3 servers.
func New(env kernel.Env, servers int) *Model {
	m := &Model{env: env, objs: make([]*version, firstPod), uid: 1, rev: 1}
	for range servers {
		m.servers = append(m.servers, &server{up: true})
	}
	return m
}

// Kind is kubernetes.
func (m *Model) Kind() string { return "kubernetes" }

// Limits are those of the adapter: Kubernetes itself knows no leases in objects.
func (m *Model) Limits() backends.Limits { return limits() }

// Servers is the number of API servers.
func (m *Model) Servers() int { return len(m.servers) }

// Leader is the server whose member of etcd leads. API servers have no leader.
func (m *Model) Leader() int { return m.etcd }

// Open begins a session of a member, in a pod that the control plane has made before.
func (m *Model) Open(member string, line stores.Line) stores.Session {
	m.sessions++
	m.pod(member)
	s := newSession(m, member, line)
	s.goOn()
	return s
}

// pod is the number of a member's pod.
func (m *Model) pod(member string) int {
	if i := slices.Index(m.pods, member); i >= 0 {
		return firstPod + i
	}
	m.pods = append(m.pods, member)
	m.objs = append(m.objs, nil)
	m.members = append(m.members, &wall{member: member})
	obj := len(m.objs) - 1
	m.commit(&version{obj: obj})
	return obj
}

func (m *Model) clock(member string) *wall {
	return m.members[slices.Index(m.pods, member)]
}

// locate is the number of the object that holds a key, -1 where it is a record of a member without a pod.
func (m *Model) locate(key string) int {
	name, ok := strings.CutPrefix(key, events.KeyMembers)
	if !ok {
		return objectOf(key)
	}
	if i := slices.Index(m.pods, name); i >= 0 {
		return firstPod + i
	}
	return -1
}

// Kill ends a server and its member of etcd.
func (m *Model) Kill(i int) {
	s := m.servers[i]
	if !s.up {
		return
	}
	s.up, s.frozen, s.stopped = false, false, nil
	s.life++
	m.cutStreams(s)
	m.elect()
}

// starting is how long a new API server answers 503 at most.
const starting = 2 * time.Second

// Start starts a server with empty watch caches.
func (m *Model) Start(i int) {
	s := m.servers[i]
	if s.up {
		return
	}
	s.up, s.ready = true, m.env.Now().Add(kernel.Between(m.env, "how long an API server starts", starting/4, starting))
	s.lagging = 0
	m.elect()
}

// Freeze stops a server and its member of etcd.
func (m *Model) Freeze(i int) {
	if s := m.servers[i]; s.up {
		s.frozen = true
		m.elect()
	}
}

// Thaw lets a server go on: what arrived meanwhile is done now.
func (m *Model) Thaw(i int) {
	s := m.servers[i]
	if !s.frozen {
		return
	}
	s.frozen = false
	late := s.stopped
	s.stopped = nil
	m.elect()
	for _, do := range late {
		do()
	}
	m.catchUp(s)
}

// Split cuts the etcd members of a group off from the others.
func (m *Model) Split(group []int) {
	for i, s := range m.servers {
		s.side = 0
		if slices.Contains(group, i) {
			s.side = 1
		}
	}
	m.elect()
}

// Join heals a split.
func (m *Model) Join() { m.Split(nil) }

// rules tells whether server i has a majority of etcd's members beside it.
func (m *Model) rules(i int) bool {
	s, with := m.servers[i], 0
	if !s.up || s.frozen {
		return false
	}
	for _, o := range m.servers {
		if o.up && !o.frozen && o.side == s.side {
			with++
		}
	}
	return 2*with > len(m.servers)
}

// elect looks whether etcd has lost its leader and, after an election timeout, finds another.
func (m *Model) elect() {
	m.election++
	if m.etcd >= 0 && m.rules(m.etcd) {
		return
	}
	m.etcd = -1
	this := m.election
	m.env.After(kernel.Between(m.env, "etcd's election", time.Second, 2500*time.Millisecond), func() {
		if this != m.election {
			return
		}
		var can []int
		for i := range m.servers {
			if m.rules(i) {
				can = append(can, i)
			}
		}
		if len(can) > 0 {
			m.etcd = can[m.env.Pick("who leads etcd", len(can))]
		}
	})
}

// serves tells whether server i can read and write etcd now.
func (m *Model) serves(i int) bool {
	return m.etcd >= 0 && m.servers[i].side == m.servers[m.etcd].side
}

// commit makes v the object's new version.
func (m *Model) commit(v *version) {
	old := m.objs[v.obj]
	m.rev++
	v.rv, v.uid = m.rev, m.uid
	m.objs[v.obj] = v
	if v.obj == objLeader {
		m.lead(old, v)
	}
	m.log = append(m.log, v)
	if len(m.log) > 4096 { // watch caches hold a window of events
		m.forget(2048)
	}
	m.publish(resourceOf(v.obj))
}

// lead keeps what Truth tells.
func (m *Model) lead(old, v *version) {
	h := v.holder()
	if h == nil {
		return
	}
	was := old.holder()
	if was == nil || was.value != h.value || was.by != h.by {
		m.epoch, m.changed = v.rv, m.env.Now()
	} else if old.lease != v.lease {
		m.changed = m.env.Now()
	}
}

// Truth is the lease as the store holds it. It ends, for the first contender that sees every change at once, its ttl after
// the last change was committed; for all others later, and for nobody if there is no other member.
func (m *Model) Truth() stores.Truth {
	v := m.objs[objLeader]
	h := v.holder()
	if h == nil {
		return stores.Truth{}
	}
	return stores.Truth{Holder: h.value, Epoch: m.epoch, Ends: m.changed.Add(v.leaseTTL())}
}

// Contents are the objects as kubectl would show them, also what is over and was not removed yet.
func (m *Model) Contents() events.DCSSnapshot {
	s := events.DCSSnapshot{Revision: m.rev}
	for _, v := range m.objs {
		if v == nil {
			continue
		}
		for i := range v.keys {
			e := &v.keys[i]
			s.Keys = append(s.Keys, events.KeyValue{Key: e.key, Value: e.value, Revision: v.revision(e)})
		}
	}
	sortKeys(s.Keys)
	return s
}

func sortKeys(all []events.KeyValue) {
	slices.SortFunc(all, func(a, b events.KeyValue) int { return strings.Compare(a.Key, b.Key) })
}

// Edit is kubectl annotate: it knows nothing of our records.
func (m *Model) Edit(key, value string, remove bool) {
	obj := m.locate(key)
	if obj < 0 {
		obj = m.pod(strings.TrimPrefix(key, events.KeyMembers))
	}
	n := m.objs[obj].foreign(obj)
	n.edit(key, value, remove)
	if old := m.objs[obj]; old == nil || !old.same(n) {
		m.commit(n)
	}
}

// Wipe is an etcd that was recreated: resource versions begin anew, and the pods are made again.
func (m *Model) Wipe() {
	m.uid++
	m.rev = 1
	m.forget(0)
	for _, s := range m.servers {
		m.cutStreams(s)
		s.life++ // all API servers restart
	}
	for i := range m.objs {
		m.objs[i] = nil
	}
	for i := range m.pods {
		m.commit(&version{obj: firstPod + i})
	}
}
