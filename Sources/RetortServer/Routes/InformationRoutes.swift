import Foundation
import Hummingbird
import RetortCore
import RetortRemote

/// What a server reports about itself: `/v1/models`, `/health`, `/metrics`.
struct InformationRoutes {
    let core: ServerCore

    func add(to router: Router<ServerContext>) {
        router.get("/health") { _, _ in health }
        router.get("/metrics") { _, _ in metrics }
        router.get("/v1/models") { _, _ in
            let models = try core.catalogue.names.map { try core.catalogue.description(of: $0, since: since) }
            return Response.json(["object": "list", "data": .array(models)])
        }
        router.get("/v1/models/**") { request, _ in
            let name = request.uri.path.dropFirst("/v1/models/".count)
            return Response.json(
                try core.catalogue.description(of: name.removingPercentEncoding ?? String(name), since: since))
        }
    }

    private var since: Int { Int(core.started.timeIntervalSince1970) }

    private var health: Response {
        let status: HTTPResponse.Status = core.isDraining ? .serviceUnavailable : .ok
        var members: [String: JSONValue] = [
            "status": core.isDraining ? "stopping" : "ok", "version": .string(Retort.version),
        ]
        // Without a key a client learns only whether the server is healthy.
        if !core.options.keys.isRequired {
            let (generations, agents) = (core.generations.load, core.agents.load)
            members["models"] = .array(core.catalogue.names.map(JSONValue.string))
            members["generations"] = [
                "running": .integer(generations.running), "waiting": .integer(generations.waiting),
            ]
            members["agents"] = ["running": .integer(agents.running), "waiting": .integer(agents.waiting)]
            let sets = core.catalogue.replicas
            if !sets.isEmpty {
                members["replicas"] = .object(
                    Dictionary(sets.map { ($0.name, Self.health(of: $0)) }, uniquingKeysWith: { first, _ in first }))
            }
        }
        return .json(.object(members), status: status)
    }

    private static func health(of replicas: Replicas) -> JSONValue {
        let standings = replicas.standings
        return ["healthy": .integer(standings.count { $0.isHealthy }), "all": .integer(standings.count)]
    }

    private var metrics: Response {
        let (generations, agents) = (core.generations.load, core.agents.load)
        let own = [
            Gauge("retort_generations_running", "Generations under way.", Double(generations.running)),
            Gauge("retort_generations_waiting", "Requests that wait for a place.", Double(generations.waiting)),
            Gauge("retort_agents_running", "Agents at work.", Double(agents.running)),
            Gauge("retort_agents_waiting", "Requests that wait for an agent.", Double(agents.waiting)),
            Gauge("retort_resident_memory_bytes", "Memory of the process.", Double(Self.residentBytes)),
            Gauge(
                "retort_uptime_seconds", "Since the server started, in seconds.",
                Date().timeIntervalSince(core.started)),
        ]
        let text = core.metrics.text(
            gauges: own + ReplicaGauges.of(core.catalogue.replicas) + core.gauges())
        return Response(
            status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }

    /// The process's resident memory in bytes, as Linux reports it; 0 elsewhere.
    static var residentBytes: Int {
        let fields = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ") ?? []
        return fields.count > 1 ? (Int(fields[1]) ?? 0) * sysconf(Int32(_SC_PAGESIZE)) : 0
    }
}
