// Package httpapi holds the REST doors of a member, with Patroni's paths, status codes and shapes, its
// metrics, and the typed client that the command line and the agents' questions to each other use.
//
// Every GET is answered from the picture of the member that the runner published last (Doors.Status),
// without touching PostgreSQL or the DCS: a hung database or store can not hang a load balancer's check.
// Orders about the whole cluster (switchover, failover, configuration) are writes to the DCS; orders to
// this member (restart, reinitialize) are handed to the engine and answered when it answers.
//
// The server keeps to the published description of Patroni 4.1.4 in bodies and codes, since scripts match on them.
// It differs on purpose in the following:
//
//	H1   /primary, /master, /read-write and / are 200 only while PostgreSQL answers and is out of recovery.
//	     Patroni looks at the lease alone, and sends writers to a server that is dead or still being promoted.
//	H2   HEAD and OPTIONS are answered like GET, without the body, on every path. Patroni answers 503 to
//	     HEAD /liveness, /readiness, /patroni, /cluster, /config, /history and /metrics.
//	H3   HTTP/1.1 with Content-Length and kept connections, and chunked request bodies. /liveness and
//	     /readiness have headers, and no body.
//	H4   PATCH and PUT /config check values: 400 names every wrong field, its value and what would be right, and
//	     nothing is changed. A PATCH is not refused for a wrong value that was there before it.
//	H5   PUT /config is a compare-and-set on what was read, and answers 409 to a conflict. Numbers keep their digits.
//	H6   A body is read and checked as a whole before anything happens. A bad one is answered once and executes
//	     nothing; Patroni starts a reinitialize on invalid JSON.
//	H7   restart_pending is a boolean: false is no filter. Patroni takes its presence for true.
//	H8   A scheduled restart asked for while the cluster is paused is 400, and so is a scheduled switchover onto
//	     the leader itself, where Patroni breaks the connection.
//	H9   /switchover and /failover answer when the view of the DCS shows the result, not at the next second; a
//	     moment without a leader is not taken for a failure.
//	H10  POST /mpp is under the same access control as /citus. Both are accepted and do nothing.
//	H11  GET /cluster and /history come from the view kept by watches. While the DCS does not answer they are 503 with
//	     the last known content; Patroni breaks the connection on /cluster.
//	H12  POST /failsafe never answers Accepted: a promise that the engine does not keep would be worse than none.
//	H13  Texts that repeat words of the request are text/plain, not text/html.
//	H14  patroni_version and its like are what the Prometheus library prints: sorted by name, escaped, 40104 for
//	     040104, and no comment line with the names of the states.
//	H15  /regent/status tells why: the rule that holds the member, refusals, lease, guard, effects in flight.
package httpapi
