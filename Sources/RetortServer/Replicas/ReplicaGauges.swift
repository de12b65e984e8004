import RetortRemote

/// The figures that `/metrics` reports about replicas.
enum ReplicaGauges {
    static func of(_ sets: [Replicas]) -> [Gauge] {
        let now = sets.map { (set: $0, standings: $0.standings) }
        func gauges(_ name: String, _ help: String, _ value: (Replicas.Standing) -> Int) -> [Gauge] {
            now.flatMap { set, standings in
                standings.map {
                    Gauge(name, help, labels: [("model", set.name), ("replica", $0.replica)], Double(value($0)))
                }
            }
        }
        return gauges("retort_replica_requests_total", "Requests sent to a replica.", \.requests)
            + gauges("retort_replica_failures_total", "Those that failed by its fault.", \.failures)
            + gauges("retort_replica_in_flight", "Those under way.", \.inFlight)
            + gauges("retort_replica_healthy", "1 where it gets requests and answers them.") { $0.isHealthy ? 1 : 0 }
            + now.map {
                Gauge(
                    "retort_replica_waiting", "Requests that wait for a replica.", labels: [("model", $0.set.name)],
                    Double($0.set.waiting))
            }
    }
}
