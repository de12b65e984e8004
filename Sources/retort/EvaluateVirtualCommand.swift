import ArgumentParser
import Foundation
import RetortAgents
import RetortCore
import RetortRecipes
import RetortServer
import RetortStore

extension EvaluateCommand {
    /// `retort evaluate virtual-apis`
    struct Virtual: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "virtual-apis", abstract: "Run queries of ToolBench or ToolAlpaca against virtual APIs.",
            discussion: """
                  retort serve-apis --model checkpoints/qwen --queries G3_instruction.json
                  retort evaluate virtual-apis G3_instruction.json --apis http://127.0.0.1:8080 --model checkpoints/umi \
                    --adapter planner=umi/planner --adapter caller=umi/caller --out runs/g3
                  retort evaluate virtual-apis G3_instruction.json --apis http://127.0.0.1:8080 \
                    --endpoint http://127.0.0.1:8000/v1 --endpoint-model base --adapter planner=planner-lora --out runs/g3

                Each query ends in an answer, in giving up, or in a failure with its cause. Trajectories go to the \
                folder's store; a run that was killed continues where it was. Behind an endpoint, a role's adapter is \
                the name of a model that it serves.
                """)

        @Argument(help: "StableToolBench's queries, or ToolAlpaca's set.") var queries: String
        @Option(help: "The address of a server of virtual APIs.") var apis: String
        @OptionGroup(title: "The agent's model") var model: ModelOptions
        @Option(
            name: .customLong("adapter"), parsing: .singleValue,
            help: ArgumentHelp("A role's adapter; a role without one is the model as it is.", valueName: "role=adapter")
        )
        var adapters: [String] = []
        @Option(help: "The folder of the run.") var out: String
        @Option(help: "What the roles are told: brief (for students) or full.") var instructions: Instructions = .full
        @Option(help: "The most steps of a query.") var maximumSteps = 12
        @Option(help: "The most tokens of a role's turn.") var maximumTokens = 512
        @Option(help: "How many queries are worked on at once.") var concurrency = 16
        @Option(help: "Only the first so many queries.") var limit: Int?
        @Flag(help: "Hold every turn to its grammar: a decision, a name that is offered, valid arguments.")
        var constrained = false
        @Flag(help: "Run queries again that ended because the model or the environment broke.") var retryFailed = false
        @Flag(help: "Print JSON.") var json = false

        func validate() throws {
            guard !constrained || model.endpoint == nil else {
                throw ValidationError(
                    "--constrained needs --model: an endpoint cannot hold its outputs to the grammars.")
            }
        }

        func run() async throws {
            let file = try VirtualAPITasks(URL(fileURLWithPath: queries))
            file.account.showRejections()
            let folder = URL(fileURLWithPath: out)
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            let run = VirtualAPIRun(
                policy: try await policy(), apis: try VirtualAPIClient(apis), maximumSteps: maximumSteps,
                concurrency: concurrency)
            let summary = try await run.run(
                Array(file.tasks.prefix(limit ?? .max)),
                store: TrajectoryStore(folder.appendingPathComponent("trajectories.sqlite")), set: file.set,
                agent: try agent(), folder: folder, retriesFailed: retryFailed)
            if json { return print(String(decoding: try ExactJSON.encode(summary), as: UTF8.self)) }
            print(
                "\(summary.queries) queries: \(summary.answered) answered, \(summary.gaveUp) gave up, "
                    + "\(summary.failed) failed; \(summary.steps) steps, \(summary.calls) calls")
            for (kind, count) in summary.failedCalls.sorted(by: { $0.key < $1.key }) { print("  \(count)  \(kind)") }
        }

        /// What the runs depend on besides the policy: weights by their content, an endpoint by its address and
        /// models.
        private func agent() throws -> [String: String] {
            var agent = ["apis": apis, "constrained": "\(constrained)", "maximumTokens": "\(maximumTokens)"]
            let digests = FileDigests()
            if let folder = model.model { agent["weights"] = try digests.model(URL(fileURLWithPath: folder)) }
            if let endpoint = model.endpoint { agent["endpoint"] = "\(model.endpointModel ?? endpoint)" }
            for (role, adapter) in try speakers() {
                agent["\(role.rawValue)'s adapter"] =
                    model.endpoint == nil ? try digests.model(URL(fileURLWithPath: adapter)) : adapter
            }
            return agent
        }

        private func policy() async throws -> RolePolicy {
            let roles = try speakers()
            let folders = Dictionary(
                roles.map { ($0.key.rawValue, URL(fileURLWithPath: $0.value)) }, uniquingKeysWith: { $1 })
            let opened = try await model.place(adapters: folders).open(concurrency: concurrency)
            func role(_ role: AgentRole) -> RoleModel {
                // In this process an adapter is named after its role; behind an endpoint it is a separate model.
                RoleModel(opened, adapter: model.endpoint == nil ? roles[role].map { _ in role.rawValue } : roles[role])
            }
            return RolePolicy(
                planner: role(.planner), caller: role(.caller), summarizer: role(.summarizer),
                instructions: instructions, constraint: constrained ? .grammar : .free, maximumTokens: maximumTokens)
        }

        /// What is given for each role: a folder, or a model's name.
        private func speakers() throws -> [AgentRole: String] {
            try adapters.reduce(into: [:]) { roles, text in
                let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
                guard parts.count == 2, let role = AgentRole(rawValue: parts[0]), role != .backbone else {
                    throw ValidationError("--adapter must be ROLE=ADAPTER, with planner, caller or summarizer")
                }
                roles[role] = parts[1]
            }
        }
    }
}

/// A file of tasks over virtual APIs: ToolBench's queries or ToolAlpaca's set.
struct VirtualAPITasks {
    let tasks: [AgentTask]
    let documents: [VirtualAPIName: JSONValue]
    let account: ImportAccount
    /// The store's set in which the runs of these tasks are kept.
    let set: String

    /// The set's name for a file.
    static func set(of file: URL) -> String { "virtual/\(file.deletingPathExtension().lastPathComponent)" }

    init(_ file: URL) throws {
        set = Self.set(of: file)
        let queries = try ToolBenchQueries(file)
        if queries.tasks.isEmpty {
            let alpaca = try ToolAlpacaFile(file)
            (tasks, documents, account) = (alpaca.tasks, alpaca.documents, alpaca.account)
        } else {
            (tasks, documents, account) = (queries.tasks, queries.documents, queries.account)
        }
        guard !tasks.isEmpty else {
            throw ValidationError("\(file.path) holds no queries; give a file of StableToolBench's or ToolAlpaca's")
        }
    }
}

extension ImportAccount {
    /// Reports the records that were left out, on standard error.
    func showRejections() {
        for rejection in rejections {
            FileHandle.standardError.write(Data("record \(rejection.record): \(rejection.reason)\n".utf8))
        }
    }
}
