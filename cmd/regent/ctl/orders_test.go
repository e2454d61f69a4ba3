package ctl

import (
	"context"
	"net/http"
	"strings"
	"testing"
)

var ctx = context.Background()

func TestSwitchover(t *testing.T) {
	for name, test := range map[string]struct {
		answers string
		o       ChangeOptions
		prepare func(w *world)
		code    int
		message string
		out     []string
		sent    string
	}{
		"asked everything": {
			answers: "\nn2\n\ny\n",
			prepare: func(w *world) { w.api.answers["POST /switchover"] = Answer{200, `Successfully switched over to "n2"`} },
			out: []string{"Current cluster topology\n+ Cluster: demo", "Primary [n1]: ", "Candidate ['n2'] []: ",
				"When should the switchover take place (e.g. 2026-01-02T04:04 )  [now]: ",
				"Are you sure you want to switchover cluster demo, demoting current leader n1? [y/N]: ",
				"2026-01-02 03:04:05.12345 Successfully switched over to \"n2\"\n+ Cluster: demo"},
			sent: `POST n1 /switchover {"leader":"n1","candidate":"n2"}`,
		},
		"scheduled": {
			answers: "y\n", o: ChangeOptions{Leader: "n1", Candidate: "n2", Scheduled: "2026-01-03T00:00+01:00"},
			prepare: func(w *world) { w.api.answers["POST /switchover"] = Answer{202, "Switchover scheduled"} },
			out: []string{"Are you sure you want to schedule switchover of cluster demo at 2026-01-03T00:00:00+01:00, demoting " +
				"current leader n1? [y/N]: "},
			sent: `POST n1 /switchover {"leader":"n1","candidate":"n2","scheduled_at":"2026-01-03T00:00:00+01:00"}`,
		},
		"refused": {
			o: ChangeOptions{Force: true}, code: ExitFailed,
			prepare: func(w *world) { w.api.answers["POST /switchover"] = Answer{412, "no good candidates"} },
			out:     []string{"Switchover failed, details: 412, no good candidates"}, sent: `POST n1 /switchover {"leader":"n1"}`,
		},
		"status unknown": {
			o: ChangeOptions{Force: true}, code: ExitUnknown,
			prepare: func(w *world) {
				w.api.answers["POST /switchover"] = Answer{503,
					"Switchover status unknown after 20 seconds; operation may still be in progress"}
			},
			out: []string{"Switchover result unknown, details: 503"}, sent: `POST n1 /switchover {"leader":"n1"}`,
		},
		"cut while waiting is not repeated": {
			o: ChangeOptions{Force: true}, code: ExitUnknown,
			prepare: func(w *world) { w.api.errs["POST /switchover"] = errCut },
			out:     []string{"Switchover result unknown", "not repeated"}, sent: `POST n1 /switchover {"leader":"n1"}`,
		},
		"old member": {
			o: ChangeOptions{Force: true, Candidate: "n2"},
			prepare: func(w *world) {
				w.api.answers["POST /switchover"] = Answer{501, ""}
				w.api.answers["POST /failover"] = Answer{200, "ok"}
			},
			sent: "POST n1 /switchover {\"leader\":\"n1\",\"candidate\":\"n2\"}\nPOST n1 /failover {\"leader\":\"n1\"," +
				"\"candidate\":\"n2\"}",
		},
		"declined":       {answers: "\n\n\nn\n", code: 1, message: "Aborting switchover"},
		"end of answers": {answers: "\n", code: 1, message: "Aborted!"},
		"wrong leader":   {o: ChangeOptions{Leader: "n2"}, code: 1, message: "Member n2 is not the leader of cluster demo"},
		"leader candidate": {o: ChangeOptions{Leader: "n1", Candidate: "n1"}, code: 1,
			message: "Member n1 is already the leader of cluster demo"},
		"nobody candidate": {o: ChangeOptions{Leader: "n1", Candidate: "n9"}, code: 1,
			message: "Member n9 does not exist in cluster demo or is tagged as nofailover"},
		"bad time": {o: ChangeOptions{Leader: "n1", Candidate: "n2", Scheduled: "soon"}, code: 1,
			message: "Unable to parse scheduled timestamp (soon). It should be in an unambiguous format (e.g. ISO 8601)"},
		"paused": {
			o: ChangeOptions{Leader: "n1", Candidate: "n2", Scheduled: "23:00"}, code: 1,
			message: "Can't schedule switchover in the paused state",
			prepare: func(w *world) { w.store.set("config", `{"pause":true}`) },
		},
		"no leader": {code: 1, message: "This cluster has no leader", prepare: func(w *world) { delete(w.store.keys, "leader") }},
		"no candidates": {
			answers: "\n", code: 1, message: "No candidates found to switch over to",
			prepare: func(w *world) { w.member("n2", `{"api_url":"http://n2:8008/patroni","tags":{"nofailover":true}}`) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, test.answers)
			if test.prepare != nil {
				test.prepare(w)
			}
			err := w.Switchover(ctx, test.o)
			w.wantOutcome(t, err, test.code, test.message)
			w.wantOut(t, test.out...)
			w.wantSent(t, test.sent)
			if w.store.keys["failover"].Value != "" {
				t.Errorf("the failover key was written: %s", w.store.keys["failover"].Value)
			}
		})
	}
}

func TestSwitchoverThroughStoreOnlyWhenNothingWasSent(t *testing.T) {
	w := newWorld(t, "")
	err := w.Switchover(ctx, ChangeOptions{Force: true, Candidate: "n2"})
	w.wantOutcome(t, err, ExitUnknown, "")
	w.wantOut(t, "2026-01-02 03:04:05.12345 Could not switchover using Patroni api, falling back to DCS")
	if got := w.store.keys["failover"].Value; got != `{"leader":"n1","member":"n2"}` {
		t.Errorf("failover key: %s", got)
	}
}

func TestFailover(t *testing.T) {
	w := newWorld(t, "\n")
	w.wantOutcome(t, w.Failover(ctx, ChangeOptions{}), 1, "Failover could be performed only to a specific candidate")

	w = newWorld(t, "n2\ny\n") // without a leader the candidate is asked
	delete(w.store.keys, "leader")
	w.api.answers["POST /failover"] = Answer{200, `Successfully failed over to "n2"`}
	w.wantOutcome(t, w.Failover(ctx, ChangeOptions{}), 0, "")
	w.wantOut(t, "Are you sure you want to failover cluster demo? [y/N]: ")
	w.wantSent(t, `POST n2 /failover {"candidate":"n2"}`)

	w = crowd(t)
	w.lines = &lineReader{in: strings.NewReader("n\n")}
	w.wantOutcome(t, w.Failover(ctx, ChangeOptions{Candidate: "n3"}), 1, "Aborting failover")
	w.wantOut(t, "Are you sure you want to failover to the asynchronous node n3? [y/N]: ")
}

func TestRestart(t *testing.T) {
	w := newWorld(t, "\ny\n9.5.2\n")
	w.api.answers["POST n1 /restart"] = Answer{200, "restarted successfully"}
	w.api.answers["POST n2 /restart"] = Answer{503, "restart conditions are not satisfied"}
	w.wantOutcome(t, w.Restart(ctx, RestartOptions{Selection: Selection{Role: "any"}}), ExitFailed, "")
	w.wantOut(t, "When should the restart take place (e.g. 2026-01-02T04:04)  [now]: ",
		"Are you sure you want to restart members n1, n2? [y/N]: ",
		"Restart if the PostgreSQL version is less than provided (e.g. 9.5.2)  []: ", "Success: restart on member n1\n",
		"Failed: restart for member n2, status code=503, (restart conditions are not satisfied)\n")
	w.wantSent(t, "POST n1 /restart {\"postgres_version\":\"9.5.2\"}\nPOST n2 /restart {\"postgres_version\":\"9.5.2\"}")

	w = newWorld(t, "")
	w.member("n2", `{"api_url":"http://n2:8008/patroni","scheduled_restart":{"schedule":"x"}}`)
	w.api.answers["DELETE /restart"] = Answer{200, ""}
	w.api.answers["POST /restart"] = Answer{202, "Restart scheduled"}
	o := RestartOptions{Selection: Selection{Role: "replica", Force: true}, Scheduled: "2026-02-01 10:00", Timeout: "30s"}
	w.wantOutcome(t, w.Restart(ctx, o), 0, "")
	w.wantSent(t, "DELETE n2 /restart\nPOST n2 /restart {\"schedule\":\"2026-02-01T10:00:00+00:00\",\"timeout\":\"30s\"}")
	w.wantOut(t, "Success: restart scheduled on member n2")

	for _, test := range []struct {
		answers string
		o       RestartOptions
		message string
	}{
		{"\nn\n", RestartOptions{Selection: Selection{Role: "any"}}, "Aborted restart"},
		{"n\n", RestartOptions{Selection: Selection{Role: "any"}, Scheduled: "2026-02-01T10:00Z"}, "Aborted scheduled restart"},
		{"", RestartOptions{Selection: Selection{Role: "standby-leader"}}, "demo cluster doesn't have any members"},
		{"", RestartOptions{Selection: Selection{Role: "replica", Names: []string{"n1"}}}, "No replica among provided members"},
		{"", RestartOptions{Selection: Selection{Role: "any", Force: true}, Version: "fifteen"}, "Invalid PostgreSQL version format"},
	} {
		w := newWorld(t, test.answers)
		w.wantOutcome(t, w.Restart(ctx, test.o), 1, test.message)
		w.wantSent(t, "")
	}
	w = newWorld(t, "")
	w.wantOutcome(t, w.Restart(ctx, RestartOptions{Selection: Selection{Role: "king"}}), ExitUsage, "Invalid value for '-r'")
}

func TestReload(t *testing.T) {
	w := newWorld(t, "y\n")
	w.api.answers["POST n1 /reload"] = Answer{202, "reload scheduled"}
	w.wantOutcome(t, w.Reload(ctx, Selection{Role: "any"}), ExitFailed, "")
	w.wantOut(t, "Are you sure you want to reload members n1, n2? [y/N]: ",
		"Reload request received for member n1 and will be processed within 1 seconds", "Failed: reload for member n2, (")
}

func TestReinit(t *testing.T) {
	w := newWorld(t, "n2\ny\ny\n")
	first := true
	w.api.on = func(c call) {
		if c.path == "/reinitialize" {
			w.api.answers["POST /reinitialize"] = Answer{200, "reinitialize started"}
			if first {
				w.api.answers["POST /reinitialize"] = Answer{503, "creating replica already in progress"}
			}
			first = false
		}
	}
	w.api.answers["GET /patroni"] = Answer{200, `{"state":"running","role":"replica"}`}
	w.wantOutcome(t, w.Reinit(ctx, ReinitOptions{Selection: Selection{Role: "replica"}, Wait: true}), 0, "")
	w.wantOut(t, "Which member do you want to reinitialize [n2]?: ", "Are you sure you want to reinitialize members n2? [y/N]: ",
		"Do you want to cancel it and reinitialize anyway? [y/N]: ", "Success: reinitialize for member n2",
		"Waiting for reinitialize to complete on: n2", "Reinitialize is completed on: n2")
	w.wantSent(t, "POST n2 /reinitialize {}\nPOST n2 /reinitialize {\"force\":true}\nGET n2 /patroni")

	w = newWorld(t, "n7\n")
	w.wantOutcome(t, w.Reinit(ctx, ReinitOptions{Selection: Selection{Role: "replica"}}), 1, "n7 is not a member of cluster")
	w = newWorld(t, "")
	w.wantOutcome(t, w.Reinit(ctx, ReinitOptions{Selection: Selection{Role: "replica", Force: true}}), ExitFailed, "")
	if !strings.Contains(w.err.String(), "Nothing is done") {
		t.Errorf("said: %s", w.err.String())
	}
}

func TestPause(t *testing.T) {
	w := newWorld(t, "")
	w.api.errs["PATCH n1 /config"] = errCut
	w.api.answers["PATCH n2 /config"] = Answer{200, "{}"}
	w.api.on = func(c call) {
		if c.api == "n2" {
			w.store.set("config", `{"pause":true,"loop_wait":1}`)
			w.member("n1", `{"api_url":"http://n1:8008/patroni","pause":true}`)
			w.member("n2", `{"api_url":"http://n2:8008/patroni"}`)
		}
	}
	w.wantOutcome(t, w.Pause(ctx, true, true), ExitUnknown, "")
	w.wantSent(t, "PATCH n1 /config {\"pause\":true}\nPATCH n2 /config {\"pause\":true}")
	w.wantOut(t, "'pause' request sent, waiting until it is recognized by all nodes\nn2 members didn't recognized pause state after 2 "+
		"seconds")
	w.wantOutcome(t, w.Pause(ctx, true, false), 1, "Cluster is already paused")

	w = newWorld(t, "")
	w.wantOutcome(t, w.Pause(ctx, false, false), 1, "Cluster is not paused")
	w.wantOutcome(t, w.Pause(ctx, true, false), 1, "Can not find accessible cluster member")
	w.store.set("config", `{"pause":true}`)
	w.api.answers["PATCH /config"] = Answer{200, "{}"}
	w.wantOutcome(t, w.Pause(ctx, false, true), 0, "")
	w.wantOut(t, "Success: cluster management is resumed")
	if last := w.api.calls[len(w.api.calls)-1]; last.body != `{"pause":null}` {
		t.Errorf("sent %+v", last)
	}
	w.store.set("config", `{"pause":true}`)
	w.api.answers["PATCH /config"] = Answer{503, "no"}
	w.wantOutcome(t, w.Pause(ctx, false, false), ExitFailed, "")
	w.wantOut(t, "Failed: resume cluster management status code=503, (no)")
}

func TestVersions(t *testing.T) {
	w := newWorld(t, "")
	w.api.answers["GET n1 /patroni"] = Answer{http.StatusOK, `{"server_version":150004,"patroni":{"version":"4.1.4"},` +
		`"regent":{"version":"1.2"},"timeline":null,"xlog":{"replayed_timestamp":null}}`}
	w.api.answers["GET n2 /patroni"] = Answer{http.StatusOK, `{"server_version":90624,"patroni":{"version":"4.0.1"}}`}
	w.member("n3", `{"api_url":"http://n3:8008/patroni"}`)
	w.wantOutcome(t, w.Versions(ctx, nil), ExitFailed, "")
	w.wantOut(t, "\nn1: regent 1.2 (Patroni 4.1.4) PostgreSQL 15.4\nn2: Patroni 4.0.1 PostgreSQL 9.6.24\nn3: failed to get version: ")
}

func TestStrictIsOptional(t *testing.T) {
	w := newWorld(t, "")
	w.Strict = false
	w.api.answers["POST /switchover"] = Answer{412, "no"}
	w.wantOutcome(t, w.Switchover(ctx, ChangeOptions{Force: true}), 0, "")
}
