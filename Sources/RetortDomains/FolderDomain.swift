import Foundation
import RetortAgents
import RetortCore
import RetortEvaluation
import RetortPython
import RetortRetrieval

/// A user's domain, opened: its tasks read, its modules imported, its documents indexed.
public struct FolderDomain: Domain {
    /// The plan that it was opened from.
    public let plan: DomainPlan
    /// The training tasks, in their file's order.
    public let train: [AgentTask]
    /// The validation tasks, in their file's order.
    public let validation: [AgentTask]
    /// The tests of all splits, in the plan's order.
    public let tests: [AgentTask]
    /// The documents' search, then the tools of processes and servers.
    public let hostTools: [any Tool]
    /// The session's own functions, then the host's tools.
    public let tools: [ToolSpecification]
    /// The documents' search; nil where there are none.
    public let retriever: (any Tool)?
    /// The corpus of passages; nil where there are no documents, or a server holds them.
    public var documents: URL? { opened?.corpus }
    /// Its opened documents with their search; nil where there are none.
    public let opened: OpenedDocuments?
    /// The interpreter with the session's modules; nil where the plan has none.
    public let interpreter: PythonInterpreter?
    private let hooks: Set<String>
    private let descriptions: [PythonModule.Description]
    /// The tools answered outside the sessions, by processes of the user's own and by servers.
    let hosts: HostTools

    /// The plan's name.
    public var name: String { plan.name }
    /// The plan's instructions.
    public var guidance: String? { plan.guidance }
    /// Both forms.
    public var forms: Set<ActionForm> { [.code, .json] }
    /// The user's own splits are used as they are; a test question that is also a training question is an error.
    public var dealsTests: Bool { false }
    /// The plan's limit.
    public var observationLimit: Int? { plan.observationLimit }

    /// Opens a domain.
    /// - Parameters:
    ///   - folder: where the index of its documents is kept.
    ///   - limits: limits of programs.
    ///   - sandbox: the weakest acceptable level for its modules and model-written programs.
    ///   - models: opens encoders and cross-encoders, where its search needs them.
    ///   - progress: is called as the index is built and passages are embedded.
    /// - Throws: `DomainError`, `PythonError.badModule`, `RetrievalError`.
    public init(
        _ plan: DomainPlan, keepingIndexIn folder: URL, limits: PythonLimits = PythonLimits(),
        requiring sandbox: SandboxLevel = .restricted, models: any RetrievalModels = NoRetrievalModels(),
        progress: @escaping @Sendable (DenseIndex.Progress) -> Void = { _ in }
    ) async throws {
        self.plan = plan
        var taken: [String: String] = [:]
        train = try plan.train.map { try plan.tasks($0, split: "train", taken: &taken) } ?? []
        validation = try plan.validation.map { try plan.tasks($0, split: "validation", taken: &taken) } ?? []
        var tests: [AgentTask] = []
        for test in plan.tests { tests += try plan.tasks(test.tasks, split: test.split, taken: &taken) }
        self.tests = tests
        try Self.refuseTaught(tests, train)
        try Self.refuseSeen(validation, train: train, tests: tests)

        let modules = try plan.python.filter { $0.place == .session }.map(plan.module)
        if let documents = plan.documents {
            opened = try await OpenedDocuments(
                documents, of: plan, keepingIn: folder, models: models, progress: progress)
        } else {
            opened = nil
        }
        retriever = opened?.tool
        let hosts = try await HostTools.opened(plan)
        do {
            (interpreter, descriptions) = try await Self.imported(modules, limits: limits, requiring: sandbox)
        } catch {
            await hosts.close()
            throw error
        }
        self.hosts = hosts
        hostTools = (retriever.map { [$0] } ?? []) + hosts.tools
        tools = descriptions.flatMap(\.tools) + hostTools.map(\.specification)
        hooks = descriptions.reduce(into: []) { $0.formUnion($1.hooks) }
        do {
            try check()
        } catch {
            await close()
            throw error
        }
    }

    /// The interpreter with the session's modules, and what they hold.
    private static func imported(
        _ modules: [PythonModule], limits: PythonLimits, requiring sandbox: SandboxLevel
    ) async throws -> (PythonInterpreter?, [PythonModule.Description]) {
        guard !modules.isEmpty else { return (nil, []) }
        let interpreter = try await PythonInterpreter(limits: limits, requiring: sandbox, modules: modules)
        do {
            return (interpreter, try await interpreter.describeModules())
        } catch {
            await interpreter.close()
            throw error
        }
    }

    private func check() throws {
        var places: [String: String] = [:]
        for (place, tool) in placedTools {
            guard tool.name != "final_answer" else { throw DomainError.repeatedTool(tool.name, places: [place]) }
            if let reason = PythonNames.fault(tool.name, isOwn: !plan.servers.contains { $0.title == place }) {
                throw DomainError.badToolName(tool.name, place: place, reason: reason)
            }
            if let other = places.updateValue(place, forKey: tool.name) {
                throw DomainError.repeatedTool(tool.name, places: [other, place])
            }
        }
        for grader in plan.graders {
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

    /// Every tool with the place that it comes from.
    private var placedTools: [(place: String, tool: ToolSpecification)] {
        let files = plan.python.filter { $0.place == .session }.map(\.file)
        var all = zip(files, descriptions).flatMap { file, found in found.tools.map { (place: file, tool: $0) } }
        if let retriever { all.append(("'documents'", retriever.specification)) }
        for service in hosts.services { all += service.specifications.map { (service.name, $0) } }
        return all
    }

    private static func refuseTaught(_ tests: [AgentTask], _ train: [AgentTask]) throws {
        let questions = Set(train.map(\.question))
        let taught = tests.filter { questions.contains($0.question) }
        for (split, tasks) in Dictionary(grouping: taught, by: \.split).sorted(by: { $0.key < $1.key }) {
            throw DomainError.taughtTests(split: split, count: tasks.count, example: tasks[0].question)
        }
    }

    /// Tasks that choose among updates are neither trained on nor measured on.
    private static func refuseSeen(_ validation: [AgentTask], train: [AgentTask], tests: [AgentTask]) throws {
        for (others, name) in [(train, "training"), (tests, "test")] {
            let questions = Set(others.map(\.question))
            let seen = validation.filter { questions.contains($0.question) }
            if let first = seen.first {
                throw DomainError.seenValidation(others: name, count: seen.count, example: first.question)
            }
        }
    }

    /// A fresh session for a task, with its own processes and servers where the domain has such tools.
    public func session(
        for task: AgentTask, form: ActionForm, tools: [any Tool],
        python: @Sendable () async throws -> PythonInterpreter
    ) async throws -> any Environment {
        guard !hosts.isEmpty else { return try await ownSession(for: task, form: form, tools: tools, python: python) }
        let services = try await hosts.begin(record(task))
        return ServedEnvironment(
            try await ownSession(for: task, form: form, tools: tools, python: python), services)
    }

    private func ownSession(
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

    /// What a part is made of: files by their SHA-256, settings by their text.
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
        case .validation: return try plan.validation.map { try file("validation tasks", $0) } ?? []
        case .tests: return try plan.tests.flatMap { try file("test tasks '\($0.split)'", $0.tasks) }
        case .tools:
            var parts: [(String, String)] = []
            for tool in plan.python {
                let places = ([tool.file] + tool.files).map(plan.url) + companions(of: tool.file).map(\.file)
                for file in try places.flatMap(DocumentCorpus.files) {
                    parts.append((plan.relative(file), "sha256:\(try digest(file))"))
                }
                if let interpreter = tool.interpreter { parts.append(("interpreter of \(tool.file)", interpreter)) }
                if tool.lifetime == .run { parts.append(("lifetime of \(tool.file)", "run")) }
            }
            for server in plan.servers { parts += try content(of: server, digest: digest) }
            if let documents { parts.append(("documents", "sha256:\(try digest(documents))")) }
            if let results = plan.documents?.results { parts.append(("documents.results", "\(results)")) }
            parts += opened?.identities.map { ($0.name, $0.value) } ?? []
            return parts
        case .grading:
            let files = [plan.train, plan.validation].compactMap(\.self) + plan.tests.map(\.tasks)
            return try content(of: [plan.grader] + files.compactMap(\.grader), "grader", digest: digest)
        case .otherGrading: return try content(of: plan.also, "also", digest: digest)
        }
    }

    private func content(
        of graders: [GraderPlan], _ name: String, digest: (URL) throws -> String
    ) throws -> [(name: String, value: String)] {
        var parts = [(name, try graders.map { try ExactJSON.tree($0).jsonText }.joined(separator: ", "))]
        if graders.contains(where: { $0.kind == .python || $0.kind == .state }) {
            parts += try content(of: .tools, digest: digest)
        }
        return parts
    }

    /// A server, by its declaration and by the SHA-256 of its command's words that are files of the domain. Its tools
    /// are in their specifications.
    private func content(
        of server: DomainPlan.MCPServer, digest: (URL) throws -> String
    ) throws -> [(String, String)] {
        var parts = [("server", server.url ?? server.command.joined(separator: " "))]
        for word in server.command {
            let file = plan.url(word)
            var isFolder: ObjCBool = false
            let exists = FileManager.default.fileExists(atPath: file.path, isDirectory: &isFolder)
            guard exists, !isFolder.boolValue, plan.relative(file) != file.path else { continue }
            parts.append((plan.relative(file), "sha256:\(try digest(file))"))
        }
        // As declared, with `${NAME}` unexpanded, so secrets of the environment are not included.
        if let environment = server.environment {
            parts.append(("environment of \(server.title)", try ExactJSON.tree(environment).jsonText))
        }
        if server.lifetime == .task { parts.append(("lifetime of \(server.title)", "task")) }
        return parts
    }

    /// Other files of the user's that a Python file on the host imports; empty for one in the session, which declares
    /// them.
    package func companions(of file: String) -> [PythonModule.Companion] {
        hosts.services.first { $0.name == file }?.companions ?? []
    }

    /// Whether a session's module defines a function that is not a tool, such as `grade`.
    func has(_ hook: String) -> Bool { hooks.contains(hook) }

    /// Ends its interpreter, its processes on the host and its servers.
    public func close() async {
        await hosts.close()
        await interpreter?.close()
    }
}

extension DomainPlan {
    /// A path as the domain's owner would write it: relative to the folder where possible.
    func relative(_ file: URL) -> String {
        let root = URL(fileURLWithPath: folder).standardizedFileURL.path + "/"
        return file.path.hasPrefix(root) ? String(file.path.dropFirst(root.count)) : file.path
    }

    /// A session's module.
    /// - Throws: `DomainError` for files that do not exist, or that the session cannot be shown.
    func module(_ tools: PythonTools) throws -> PythonModule {
        let file = url(tools.file)
        guard FileManager.default.fileExists(atPath: file.path) else {
            throw DomainError.noFile(what: "tools", path: file.path)
        }
        return PythonModule(file, files: try files(of: tools), functions: tools.functions)
    }

    /// The files that a Python file declares to read.
    /// - Throws: `DomainError` for files that do not exist, or are not beside it.
    func files(of tools: PythonTools) throws -> [URL] {
        let folder = url(tools.file).deletingLastPathComponent().path
        return try tools.files.map(url).map { other in
            guard other.path.hasPrefix(folder + "/") else {
                throw DomainError.outside(file: other.path, folder: folder)
            }
            guard FileManager.default.fileExists(atPath: other.path) else {
                throw DomainError.noFile(what: "'files' of \(tools.file)", path: other.path)
            }
            return other
        }
    }
}
