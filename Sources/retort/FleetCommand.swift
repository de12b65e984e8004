import ArgumentParser
import Foundation
import RetortCore
import RetortRecipes
import RetortServer
import RetortStore

/// `retort fleet`
struct FleetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fleet", abstract: "Show how a run stands that several machines work on.",
        discussion: """
            Shows each stage's tasks, those in work, rates, failures by cause and the time left; what models behind \
            endpoints cost; and each worker with the time when it was last heard of.

              retort fleet --store postgresql://retort@db/fleet
              retort fleet --store … --watch 5           again every five seconds, until the run is done
              retort fleet --store … --metrics 9464      for Prometheus, at http://HOST:9464/metrics
              retort fleet --store … --remove quickstart forgets a run that nobody plans; its folder stays
            """)

    @Option(help: ArgumentHelp("The database: postgresql://USER@HOST/DATABASE.", valueName: "url"))
    var store: String

    @Option(
        name: .customLong("run"),
        help: ArgumentHelp("The run; the only one that is not done unless given.", valueName: "name"))
    var runName: String?

    @Flag(help: "Print JSON.") var json = false

    @Option(help: ArgumentHelp("Show it again every so many seconds until it is done.", valueName: "seconds"))
    var watch: Double?

    @Option(help: ArgumentHelp("Serve the figures to Prometheus at this port.", valueName: "port"))
    var metrics: Int?

    @Option(help: "With --metrics: where to listen; 0.0.0.0 is reached from other hosts.")
    var host = "127.0.0.1"

    @Option(help: ArgumentHelp("Remove a run from the database.", valueName: "name"))
    var remove: String?

    func validate() throws {
        guard [watch != nil, metrics != nil, remove != nil].filter(\.self).count <= 1 else {
            throw ValidationError("--watch, --metrics and --remove are three things; name one")
        }
        if let watch, watch < 0.1 { throw ValidationError("--watch takes 0.1 seconds or more") }
        if let metrics, !(0...65535).contains(metrics) { throw ValidationError("--metrics takes a port, 0 to 65535") }
    }

    func run() async throws {
        let store = try await FleetStore(store, sessions: 2)
        if let remove { return try await store.remove(remove) }
        if let metrics { return try await serve(store, port: metrics) }
        while true {
            let report = try await FleetReport(store, run: runName)
            print(json ? String(decoding: try JSONCoding.prettyEncoder.encode(report), as: UTF8.self) : report.text)
            guard let watch, !report.status.isDone else { return }
            try await Task.sleep(for: .seconds(watch))
        }
    }

    private func serve(_ store: FleetStore, port: Int) async throws {
        let (name, host) = (runName, host)
        let server = GaugeServer(host: host, port: port) {
            try await FleetReport(store, run: name).figures.map { figure in
                Gauge(
                    figure.name, figure.help,
                    labels: figure.labels.sorted { $0.key < $1.key }.map { ($0.key, $0.value) },
                    figure.value)
            }
        }
        try await server.run { FileHandle.standardError.write(Data("http://\(host):\($0)/metrics\n".utf8)) }
    }
}
