import Foundation
import RetortAgents
import RetortCore
import RetortEvaluation
import RetortPython
import RetortRetrieval

/// A user's domain, opened: its tasks read, its modules imported, its documents indexed.
public struct FolderDomain: Domain {
    public let plan: DomainPlan
    public let train: [AgentTask]
    /// Tasks that choose between checkpoints.
    public let validation: [AgentTask]
    public let tests: [AgentTask]
    public let hostTools: [any Tool]
    public let tools: [ToolSpecification]
    public let retriever: (any Tool)?
    public let documents: URL?
    public let interpreter: PythonInterpreter?
    private let hooks: Set<String>

    public var name: String { plan.name }
    public var guidance: String? { plan.guidance }
    public var forms: Set<ActionForm> { [.code, .json] }
    public var dealsTests: Bool { false }

    /// Opens a domain.
    /// - Parameters:
    ///   - folder: where the index of its documents is kept.
    ///   - limits: of programs.
    ///   - sandbox: the weakest one to run its modules and model-written programs in.
    /// - Throws: `DomainError`, `PythonError.badModule`, `RetrievalError`.
    public init(
        _ plan: DomainPlan, keepingIndexIn folder: URL, limits: PythonLimits = PythonLimits(),
        requiring sandbox: SandboxLevel = .restricted
    ) async throws {
        self.plan = plan
        try Self.refuseUnconnected(plan)
        var taken: [String: String] = [:]
        train = try plan.train.map { try plan.tasks($0, split: "train", taken: &taken) } ?? []
        validation = try plan.validation.map { try plan.tasks($0, split: "validation", taken: &taken) } ?? []
        var tests: [AgentTask] = []
        for test in plan.tests { tests += try plan.tasks(test.tasks, split: test.split, taken: &taken) }
        self.tests = tests
        try Self.refuseTaught(tests, train)

        var host: [any Tool] = []
        (retriever, documents) = try await Self.retriever(plan, folder)
        if let retriever { host.append(retriever) }
        let modules = try plan.python.filter { $0.place == .session }.map(plan.module)
        var own: [ToolSpecification] = []
        var hooks: Set<String> = []
        if modules.isEmpty {
            interpreter = nil
        } else {
            let interpreter = try await PythonInterpreter(limits: limits, requiring: sandbox, modules: modules)
            do {
                for description in try await interpreter.describeModules() {
                    own += description.tools
                    hooks.formUnion(description.hooks)
                }
            } catch {
                await interpreter.close()
                throw error
            }
            self.interpreter = interpreter
        }
        hostTools = host
        tools = own + host.map(\.specification)
        self.hooks = hooks
        try Self.check(tools, plan, hooks)
    }

    private static func check(_ tools: [ToolSpecification], _ plan: DomainPlan, _ hooks: Set<String>) throws {
        var names: Set<String> = ["final_answer"]
        for tool in tools where !names.insert(tool.name).inserted { throw DomainError.repeatedTool(tool.name) }
        for grader in [plan.grader] + plan.also + plan.tests.compactMap(\.tasks.grader) {
            if grader.kind == .python, !hooks.contains("grade") {
                throw DomainError.cannotGrade(
                    grader: "python", needs: "a function grade(task, answer, state) in a 'python' file of the session")
            }
            if grader.kind == .state, !hooks.contains("state") {
                throw DomainError.cannotGrade(
                    grader: "state", needs: "a function state() in a 'python' file of the session")
            }
        }
    }

    /// What a plan may say and this version does not do yet is refused, not passed over.
    private static func refuseUnconnected(_ plan: DomainPlan) throws {
        if plan.python.contains(where: { $0.place == .host }) { throw DomainError.notYet("tools with 'place: host'") }
        if !plan.servers.isEmpty { throw DomainError.notYet("MCP servers in 'tools'") }
        if !plan.also.isEmpty { throw DomainError.notYet("'also'") }
        if ([plan.grader] + plan.tests.compactMap(\.tasks.grader)).contains(where: { $0.kind == .judge }) {
            throw DomainError.notYet("the grader 'judge'")
        }
    }

    private static func refuseTaught(_ tests: [AgentTask], _ train: [AgentTask]) throws {
        let questions = Set(train.map(\.question))
        let taught = tests.filter { questions.contains($0.question) }
        for (split, tasks) in Dictionary(grouping: taught, by: \.split).sorted(by: { $0.key < $1.key }) {
            throw DomainError.taughtTests(split: split, count: tasks.count, example: tasks[0].question)
        }
    }

    private static func retriever(_ plan: DomainPlan, _ folder: URL) async throws -> ((any Tool)?, URL?) {
        guard let documents = plan.documents else { return (nil, nil) }
        let place = plan.url(documents.path)
        if place.pathExtension == "sqlite" {
            // An index that was made before, such as an agent's.
            let tool = WebSearchTool(
                try PassageIndex(place), limit: documents.results, name: documents.tool, summary: documents.description)
            return (tool, place)
        }
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let corpus = try await DocumentCorpus(place).passages(keptIn: folder, name: plan.name)
        let index = folder.appendingPathComponent("\(corpus.deletingPathExtension().lastPathComponent).sqlite")
        try PassageIndex.buildIfNeeded(from: corpus, to: index)
        let tool = WebSearchTool(
            try PassageIndex(index), limit: documents.results, name: documents.tool, summary: documents.description)
        return (tool, corpus)
    }

    public func session(
        for task: AgentTask, form: ActionForm, tools: [any Tool],
        python: @Sendable () async throws -> PythonInterpreter
    ) async throws -> any Environment {
        if let interpreter {
            return try await interpreter.session(tools: tools, task: record(task))
        }
        // Calls without programs need no interpreter.
        return form == .json ? ToolEnvironment(tools) : try await python().session(tools: tools)
    }

    /// A task as the domain's own functions are given it.
    func record(_ task: AgentTask) -> JSONValue { DomainPlan.record(task, answer: plan.fields.answer) }

    public func grader(symbolic: SymbolicJudge?) -> (any TrajectoryGrader)? {
        DomainGrader(self, symbolic: symbolic)
    }

    public func content(
        of part: DomainPart, digest: (URL) throws -> String
    ) throws -> [(name: String, value: String)] {
        func file(_ name: String, _ task: DomainPlan.TaskFile) throws -> [(String, String)] {
            var parts = [(name, "sha256:\(try digest(plan.url(task.file)))")]
            if let limit = task.limit { parts.append(("limit of the \(name)", "\(limit)")) }
            return parts + [("fields", try ExactJSON.tree(plan.fields).jsonText)]
        }
        switch part {
        case .train: return try plan.train.map { try file("training tasks", $0) } ?? []
        case .tests: return try plan.tests.flatMap { try file("test tasks '\($0.split)'", $0.tasks) }
        case .tools:
            var parts: [(String, String)] = []
            for tool in plan.python {
                for path in [tool.file] + tool.files {
                    for file in try DocumentCorpus.files(plan.url(path)) {
                        parts.append((plan.relative(file), "sha256:\(try digest(file))"))
                    }
                }
            }
            for server in plan.servers { parts.append(("server", server.url ?? server.command.joined(separator: " "))) }
            if let documents { parts.append(("documents", "sha256:\(try digest(documents))")) }
            if let results = plan.documents?.results { parts.append(("documents.results", "\(results)")) }
            return parts
        case .grading:
            let graders = [plan.grader] + plan.tests.compactMap(\.tasks.grader)
            var parts = [("grader", try graders.map { try ExactJSON.tree($0).jsonText }.joined(separator: ", "))]
            if graders.contains(where: { $0.kind == .python || $0.kind == .state }) {
                parts += try content(of: .tools, digest: digest)
            }
            return parts
        }
    }

    /// Whether its module defines a function that is no tool.
    func has(_ hook: String) -> Bool { hooks.contains(hook) }

    public func close() async { await interpreter?.close() }
}

extension DomainPlan {
    /// A path as the domain's owner would write it.
    func relative(_ file: URL) -> String {
        let root = URL(fileURLWithPath: folder).standardizedFileURL.path + "/"
        return file.path.hasPrefix(root) ? String(file.path.dropFirst(root.count)) : file.path
    }

    /// A session's module.
    /// - Throws: `DomainError` for files that are not there, or that the session could not be shown.
    func module(_ tools: PythonTools) throws -> PythonModule {
        let file = url(tools.file)
        guard FileManager.default.fileExists(atPath: file.path) else {
            throw DomainError.noFile(what: "tools", path: file.path)
        }
        let folder = file.deletingLastPathComponent().path
        let files = tools.files.map(url)
        for other in files {
            guard other.path.hasPrefix(folder + "/") else {
                throw DomainError.outside(file: other.path, folder: folder)
            }
            guard FileManager.default.fileExists(atPath: other.path) else {
                throw DomainError.noFile(what: "'files' of \(tools.file)", path: other.path)
            }
        }
        return PythonModule(file, files: files, functions: tools.functions)
    }
}
