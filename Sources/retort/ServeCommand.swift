import ArgumentParser
import Foundation
import Logging
import RetortAgents
import RetortCore
import RetortLLM
import RetortServer
import RetortTensor
import ServiceLifecycle

/// `retort serve`
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Serve models, adapters and agents to OpenAI's clients.",
        discussion: """
            A place is a checkpoint's folder or GGUF file, or a model's name (see 'retort fetch'), an adapter, an agent, or a run, of which all agents are served: the \
            weights behind them (3m-agent, 3m-cot), and they themselves (3m:agent, or just agent), which answer a question \
            with search and interpreter behind one chat call.

              retort serve runs/quickstart
              retort serve smollm2-135m.gguf
              retort serve HuggingFaceTB/SmolLM2-135M-Instruct
              retort serve hotel-agent --base models/SmolLM2-135M
              retort serve seedlings/3m --adapter planner=adapters/planner --port 8080
              retort serve big=checkpoints/qwen --agent big --passages passages.sqlite
              retort serve --upstream qwen=http://a:8000,http://b:8000

            With --upstream the server stands in front of other servers of a model. To use several GPUs, start one server on each \
            (CUDA_VISIBLE_DEVICES=0 retort serve … --port 8001) and one in front of them; on a CPU one server already uses all \
            processors.

            Keys are read from RETORT_API_KEY or a file; without a key, everybody who reaches the address may use the \
            server. After the first SIGINT or SIGTERM running requests may finish; a second signal ends them.
            """)

    @Argument(help: "Checkpoints, adapters, agents and runs, each as FOLDER, FILE.gguf or NAME=PLACE.")
    var folders: [String] = []
    @Option(
        name: .customLong("adapter"), parsing: .singleValue,
        help: ArgumentHelp("An adapter to serve over the first folder's weights.", valueName: "name=folder"))
    var adapters: [String] = []
    @Option(
        name: .customLong("agent"), parsing: .singleValue,
        help: ArgumentHelp("A model to serve as an agent too, as NAME:agent.", valueName: "name"))
    var agents: [String] = []
    @Option(help: "The passages that such an agent searches (passages.sqlite of a run).") var passages: String?
    @Option(help: "What such an agent's prompt says: brief (for students) or full.") var instructions: Instructions =
        .brief

    @Option(help: "The interface to listen on; 0.0.0.0 is all of them.") var host = "127.0.0.1"
    @Option(help: "The port; 0 takes any free one.") var port = 8000
    @Option(help: "A file with one API key a line.") var keys: String?
    @Option(help: "The most samples that run at once.") var maximumRunning = 64
    @Option(help: "The most requests that wait; further ones get status 503.") var maximumWaiting = 256
    @Option(help: "The most agents at work.") var maximumAgents = 8
    @Option(help: "The most tokens of an answer.") var maximumTokens = 4096
    @Option(help: "The temperature of requests that name none (default: the model's own, else 1).")
    var temperature: Double?
    @Option(help: "The longest a request may run, in seconds.") var requestSeconds = 600.0
    @Option(help: "How long requests under way may go on after a signal to stop, in seconds.") var drainSeconds = 30.0
    @Option(help: "How many tokens are remembered for prompts that begin alike.") var prefixTokens = 1 << 17
    @Option(help: "Log lines as text or json.") var logs: LogForm = .text
    @OptionGroup var upstream: UpstreamOptions
    @OptionGroup var which: AgentOptions

    enum LogForm: String, ExpressibleByArgument, CaseIterable { case text, json }

    func validate() throws {
        guard !folders.isEmpty || !upstream.upstreams.isEmpty else {
            throw ValidationError("name a folder to serve, or other servers with --upstream NAME=URL")
        }
        guard !folders.isEmpty || adapters.isEmpty else {
            throw ValidationError("--adapter needs a folder: an adapter is served over its weights")
        }
        guard (0...65535).contains(port) else { throw ValidationError("--port must be 0 to 65535") }
        guard temperature.map((0...2).contains) != false else { throw ValidationError("--temperature must be 0 to 2") }
        for (name, value) in [
            ("maximum-running", maximumRunning), ("maximum-agents", maximumAgents), ("maximum-tokens", maximumTokens),
        ] where value < 1 { throw ValidationError("--\(name) must be at least 1") }
        if keys == nil, Self.keyOfEnvironment == [""] {
            throw ValidationError("RETORT_API_KEY is empty; unset it to let everybody in")
        }
        for adapter in adapters where ServedFolders.Named(adapter).name == nil {
            throw ValidationError("--adapter must be NAME=FOLDER, not '\(adapter)'")
        }
    }

    /// The time for connections that remain after requests have ended, in seconds.
    private static let lastSeconds = 10.0

    func run() async throws {
        let logger = logger
        let served = try await served()
        let catalogue = served.catalogue
        let (question, checkpoints) = (served.sampleQuestion, served.checkpoints)
        let server = RetortServer(
            catalogue, options: try options(), logger: logger, gauges: { ModelGauges.of(checkpoints) },
            onStart: { greet(catalogue, question, port: $0) })
        let group = ServiceGroup(services: [server], logger: logger)
        // A signal would cancel the command; instead the server is told to shut down gracefully.
        InterruptHandler.shared.allow(seconds: drainSeconds + Self.lastSeconds)
        let work = Task { try await group.run() }
        try await withTaskCancellationHandler {
            try await work.value
        } onCancel: {
            Task { await group.triggerGracefulShutdown() }
        }
    }

    private func served() async throws -> ServedFolders {
        var served = ServedFolders(
            which.engine.options(maximumSamples: max(maximumRunning, 64), prefixTokens: prefixTokens), which)
        let adapters = Dictionary(
            adapters.map(ServedFolders.Named.init).compactMap { place in place.name.map { ($0, place.folder) } },
            uniquingKeysWith: { $1 })
        for (number, folder) in folders.enumerated() {
            try await served.add(.located(folder), adapters: number == 0 ? adapters : [:])
        }
        for name in agents {
            try await served.addAgent(
                over: name, passages: passages.map { URL(fileURLWithPath: $0) }, instructions: instructions)
        }
        for replicas in try upstream.replicas({
            ($0.requestSeconds, $0.waiting) = (requestSeconds, maximumWaiting)
        }) { try served.add(replicas) }
        try served.nameTheAgent()
        return served
    }

    private func options() throws -> ServerOptions {
        var options = ServerOptions()
        (options.host, options.port) = (host, port)
        options.keys = try keys.map { try APIKeys(file: URL(fileURLWithPath: $0)) } ?? APIKeys(Self.keyOfEnvironment)
        options.maximumRunning = maximumRunning
        options.maximumWaiting = maximumWaiting
        options.maximumAgents = maximumAgents
        options.maximumTokens = maximumTokens
        options.temperature = temperature
        options.requestSeconds = requestSeconds
        options.drainSeconds = drainSeconds
        return options
    }

    private static var keyOfEnvironment: [String] {
        ProcessInfo.processInfo.environment["RETORT_API_KEY"].map { [$0] } ?? []
    }

    private var logger: Logger {
        Logger(label: "retort.server") { label -> any LogHandler in
            switch logs {
            case .text: StreamLogHandler.standardError(label: label)
            case .json: JSONLogHandler(label: label)
            }
        }
    }

    private func greet(_ catalogue: ModelCatalogue, _ question: String, port: Int) {
        let name = host == "0.0.0.0" ? "127.0.0.1" : host.contains(":") ? "[\(host)]" : host
        let address = "http://\(name):\(port)"
        let model = catalogue.names.contains("agent") ? "agent" : catalogue.names.first ?? ""
        let needsKey = keys != nil || !Self.keyOfEnvironment.isEmpty
        let header = needsKey ? " -H \"Authorization: Bearer $RETORT_API_KEY\"" : ""
        let body = ExactJSON.text(
            ["model": .string(model), "messages": [["role": "user", "content": .string(question)]]])
        let text =
            """
            Serving \(catalogue.names.joined(separator: ", ")) at \(address)/v1. Try it:

              curl \(address)/v1/chat/completions -H 'Content-Type: application/json'\(header) \
            -d '\(body.replacing("'", with: "'\\''"))'

            """
        FileHandle.standardOutput.write(Data((text + "\n").utf8))
        if !needsKey, !["127.0.0.1", "::1", "localhost"].contains(host) {
            FileHandle.standardError.write(
                Data("warning: no key is set, and \(host) can be reached from other machines\n".utf8))
        }
    }
}

extension Instructions: ExpressibleByArgument {}
extension Device: ExpressibleByArgument {}
