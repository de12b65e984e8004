import Foundation
import RetortCore
import RetortEvaluation

/// A user's domain as described by `domain.yaml`, or by a recipe's `domain`.
public struct DomainPlan: Codable, Sendable, Hashable {
    /// A file of tasks.
    public struct TaskFile: Codable, Sendable, Hashable {
        /// The file's path, relative to the domain's folder.
        public var file: String
        /// The most tasks to take, from the beginning; nil takes all.
        public var limit: Int?
        /// How these tasks are graded; nil is the domain's grader.
        public var grader: GraderPlan?
    }

    /// The test tasks of a split.
    public struct Test: Codable, Sendable, Hashable {
        /// The split's name, under `tasks: test:`.
        public var split: String
        /// The file with the split's tasks.
        public var tasks: TaskFile
    }

    /// Which members of a task file's records hold what.
    public struct Fields: Codable, Sendable, Hashable {
        /// The member with the task's id.
        public var id = "id"
        /// The members with the question; several are joined by blanks.
        public var question = ["question"]
        /// The member with the reference answer.
        public var answer = "answer"

        /// The usual names: `id`, `question` and `answer`.
        public init() {}
    }

    /// A Python file whose functions are tools.
    public struct PythonTools: Codable, Sendable, Hashable {
        /// Where the functions run.
        public enum Location: String, Codable, Sendable, CaseIterable {
            /// In the agent's own sandboxed session: state forks with it.
            case session
            /// A process of its own, with the user's environment and rights.
            case host
        }

        /// The Python file, relative to the domain's folder.
        public var file: String
        /// Where the functions run.
        public var place = Location.session
        /// Files and folders beside the Python file that it may read.
        public var files: [String] = []
        /// The functions that are tools; nil takes all public ones.
        public var functions: [String]?
        /// For tools on the host: what repeating a call does, by function; `*` is for the others. Without either, a
        /// call has effects on the outside world.
        public var effects: [String: ToolSpecification.Effect] = [:]
        /// For tools on the host: the Python that runs them; nil is `python3`.
        public var interpreter: String?
        /// For tools on the host: whether one process serves all tasks; nil is one process for each.
        public var lifetime: Lifetime?
        /// For tools on the host: the longest time for a call, in seconds; nil is 120.
        public var seconds: Double?

        static let usualSeconds = 120.0
    }

    /// The tasks that share something running beside the sessions.
    public enum Lifetime: String, Codable, Sendable, CaseIterable {
        /// One for all tasks.
        case run
        /// One for each task.
        case task

        /// In words.
        var words: String { self == .run ? "one for all tasks" : "one for each task" }
    }

    /// A server of the Model Context Protocol, started by a command or reached at an address.
    public struct MCPServer: Codable, Sendable, Hashable {
        /// The command, word by word; empty for a server with an address.
        public var command: [String]
        /// The server's address; nil for one that a command starts.
        public var url: String?
        /// Whether one server is for all tasks or each task has its own.
        public var lifetime = Lifetime.run
        /// The server's tools to offer, by its own names for them; nil offers all.
        public var tools: [String]?
        /// What repeating a call does, by the server's names of the tools; `*` is for the others.
        public var effects: [String: ToolSpecification.Effect] = [:]
        /// Its name in errors; nil is its program or host.
        public var name: String?
        /// Variables for a command's environment in addition to the usual ones; `${NAME}` is a variable of this
        /// process.
        public var environment: [String: String]?
        /// Headers of each request to an address; `${NAME}` is a variable of this process.
        public var headers: [String: String]?
        /// The longest time for a call without a report of progress, in seconds; nil is 120.
        public var seconds: Double?
        /// The longest time for a start, in seconds; nil is 30.
        public var startSeconds: Double?

        /// Its name in errors.
        var title: String {
            if let name { return name }
            if let url { return URL(string: url)?.host ?? url }
            return URL(fileURLWithPath: command.first ?? "").lastPathComponent
        }
    }

    /// Documents, or an existing index of them, and the tool that searches them.
    public struct Documents: Codable, Sendable, Hashable {
        /// A folder, a file, or an index; empty where a server searches.
        public var path: String
        /// Servers that hold the passages; nil where they are on this machine.
        public var service: DocumentService?
        /// The name of the tool, a Python identifier.
        public var tool = "web_search"
        /// What agents are told about the tool.
        public var description = "Searches the documents and returns the passages that fit best."
        /// How many passages a search returns, 1 to 100.
        public var results = 3
        /// How they are searched; nil is by words.
        public var search: DocumentSearch?

        /// - Parameter path: of a folder or a file; relative to the domain's folder.
        public init(path: String) { self.path = path }

        /// - Parameter service: the servers that search.
        public init(service: DocumentService) { (path, self.service) = ("", service) }
    }

    /// The domain's name; without one in the file, that of its folder.
    public var name: String
    /// The folder that its paths are relative to.
    public var folder: String
    /// What every agent is told about its job, under `instructions`; nil for nothing.
    public var guidance: String?
    /// The training tasks; nil where recorded trajectories provide them.
    public var train: TaskFile?
    /// Tasks that choose among a training's checkpoints; nil for none.
    public var validation: TaskFile?
    /// The test splits, in the file's order.
    public var tests: [Test]
    /// The names of the records' members in all task files.
    public var fields: Fields
    /// The files of Python functions that are tools.
    public var python: [PythonTools]
    /// The servers of the Model Context Protocol.
    public var servers: [MCPServer]
    /// The documents to search; nil for none.
    public var documents: Documents?
    /// The grader of tasks whose file names none; exact comparison by default.
    public var grader: GraderPlan
    /// Graders that are reported in addition to the one that decides.
    public var also: [GraderPlan]
    /// How agents act when a recipe does not say; `code` by default.
    public var form: ActionForm
    /// The most characters of an observation that agents of JSON calls and of roles are shown; nil is the view's usual
    /// limit.
    public var observationLimit: Int?

    /// The files of its documents; for an existing index also its vectors.
    package func documentFiles() throws -> [URL] {
        guard let documents else { return [] }
        let files = try DocumentCorpus.files(url(documents.path))
        let beside = files.flatMap { file in
            ["faiss", "faiss.json"].map { file.deletingPathExtension().appendingPathExtension($0) }
        }
        return files + beside.filter { FileManager.default.fileExists(atPath: $0.path) }
    }

    /// A path of the plan, resolved against its folder.
    public func url(_ path: String) -> URL {
        URL(fileURLWithPath: path, relativeTo: URL(fileURLWithPath: folder, isDirectory: true)).standardizedFileURL
    }
}

extension DomainPlan {
    /// Reads `domain.yaml` of a folder, or the file itself.
    /// - Throws: `RecipeError` with every fault and its line.
    public init(_ place: URL) throws {
        var isFolder: ObjCBool = false
        let exists = FileManager.default.fileExists(atPath: place.path, isDirectory: &isFolder)
        let file = exists && isFolder.boolValue ? place.appendingPathComponent("domain.yaml") : place
        let root = try YAMLFile.root(YAMLFile.text(file), file: file.path)
        let faults = YAMLReader.Faults()
        let reader = YAMLReader(root, faults: faults)
        self.init(reader, folder: file.deletingLastPathComponent().standardizedFileURL.path)
        reader.finish()
        guard faults.list.isEmpty else {
            let ordered = faults.list.sorted { ($0.line, $0.column) < ($1.line, $1.column) }
            throw RecipeError(file: file.path, faults: ordered)
        }
    }

    /// Reads the keys of a domain.
    /// - Parameter folder: what its paths are relative to.
    package init(_ reader: YAMLReader, folder: String) {
        self.folder = folder
        name = reader.string("name", default: URL(fileURLWithPath: folder).lastPathComponent)
        guidance = reader.optionalString("instructions")?.trimmingCharacters(in: .whitespacesAndNewlines)
        var train: TaskFile?
        var validation: TaskFile?
        var tests: [Test] = []
        if reader.has("tasks") {
            reader.mapping("tasks") { tasks in
                train = tasks.either("train", text: { TaskFile(file: $0) }, mapping: TaskFile.init(reading:))
                validation = tasks.either("validation", text: { TaskFile(file: $0) }, mapping: TaskFile.init(reading:))
                tests = tasks.named("test", text: { TaskFile(file: $0) }, mapping: TaskFile.init(reading:)).map {
                    Test(split: $0.name, tasks: $0.value)
                }
            }
        }
        (self.train, self.validation, self.tests) = (train, validation, tests)
        fields =
            reader.mapping("fields") { names in
                var fields = Fields()
                fields.id = names.string("id", default: fields.id)
                fields.answer = names.string("answer", default: fields.answer)
                let parts = names.oneOrMore("question", text: { $0 }, mapping: { _ in "" })
                if !parts.isEmpty { fields.question = parts }
                return fields
            } ?? Fields()
        var python: [PythonTools] = []
        var servers: [MCPServer] = []
        _ = reader.list("tools") { tool in
            if tool.has("python") {
                python.append(PythonTools(reading: tool))
            } else if tool.has("mcp") || tool.has("url") {
                servers.append(MCPServer(reading: tool))
            } else {
                tool.refuse("python", "a tool is 'python: FILE', 'mcp: [COMMAND, …]' or 'url: ADDRESS'")
            }
        }
        (self.python, self.servers) = (python, servers)
        documents = reader.either("documents", text: { Documents(path: $0) }, mapping: Documents.init(reading:))
        grader =
            reader.either("grader", text: { GraderPlan(named: $0, reader) }, mapping: GraderPlan.init(reading:))
            ?? GraderPlan(.exact)
        also = reader.oneOrMore("also", text: { GraderPlan(named: $0, reader) }, mapping: GraderPlan.init(reading:))
        for (index, one) in also.enumerated() where also[..<index].contains(one) || one == grader {
            reader.refuse("also", "the grader '\(one.title)' is named twice")
        }
        form = reader.choice("form", default: .code)
        observationLimit = Self.observationLimit(reader)
        let names = tests.map(\.split)
        for name in Set(names) where names.count(where: { $0 == name }) > 1 {
            reader.refuse("tasks", "two test splits are named '\(name)'")
        }
    }
}

extension DomainPlan {
    /// A plan of documents and nothing else.
    /// - Parameter place: a folder or a file.
    public init(documents place: URL) throws {
        try self.init(
            searching: Documents(path: place.path), named: place.deletingPathExtension().lastPathComponent,
            folder: place.deletingLastPathComponent())
    }

    /// A plan of documents and nothing else.
    /// - Parameter folder: what their path is relative to.
    public init(searching documents: Documents, named name: String, folder: URL) throws {
        let reader = YAMLReader(try YAMLFile.root("{}", file: name), faults: YAMLReader.Faults())
        self.init(reader, folder: folder.path)
        self.name = name
        self.documents = documents
    }

    /// How many characters of an observation are shown, where the file says so.
    package static func observationLimit(_ reader: YAMLReader) -> Int? {
        guard reader.has("observationLimit") else { return nil }
        return reader.integer("observationLimit", default: 1024, in: 16...10_000_000)
    }
}

extension DomainPlan.TaskFile {
    init(reading reader: YAMLReader) {
        self.init(
            file: reader.string("file"),
            limit: reader.has("limit") ? reader.integer("limit", default: 1, in: 1...10_000_000) : nil,
            grader: reader.either("grader", text: { GraderPlan(named: $0, reader) }, mapping: GraderPlan.init(reading:))
        )
    }

    init(file: String) { self.init(file: file, limit: nil, grader: nil) }
}

extension DomainPlan.PythonTools {
    init(reading reader: YAMLReader) {
        self.init(file: reader.string("python"))
        place = reader.choice("place", default: .session)
        files = reader.strings("files") ?? []
        functions = reader.strings("functions")
        effects = .init(reading: reader)
        interpreter = reader.optionalString("interpreter")
        lifetime = reader.choice("lifetime")
        if reader.has("seconds") { seconds = reader.number("seconds", default: Self.usualSeconds, in: 0.01...86_400) }
        if place == .session {
            if !effects.isEmpty {
                reader.refuse(
                    "effect", "'effect' is for tools with 'place: host'; what a session's tools do is its own")
            }
            for key in ["interpreter", "lifetime", "seconds"] where reader.has(key) {
                reader.refuse(key, "'\(key)' is for tools with 'place: host'")
            }
        }
    }
}

extension DomainPlan.MCPServer {
    init(reading reader: YAMLReader) {
        self.init(command: reader.has("mcp") ? Self.command(reader) : [])
        url = reader.optionalString("url")
        name = reader.optionalString("name")
        lifetime = reader.choice("lifetime", default: .run)
        tools = reader.strings("functions")
        effects = .init(reading: reader)
        environment = Self.texts("environment", reader)
        headers = Self.texts("headers", reader)
        if reader.has("seconds") { seconds = reader.number("seconds", default: 120, in: 0.01...86_400) }
        if reader.has("startSeconds") { startSeconds = reader.number("startSeconds", default: 30, in: 0.01...3600) }
        if command.isEmpty == (url == nil) {
            reader.refuse("mcp", "a server is either a command ('mcp: [COMMAND, …]') or an address ('url')")
        }
        if url != nil, environment != nil { reader.refuse("environment", "'environment' is for a server's command") }
        if url == nil, headers != nil { reader.refuse("headers", "'headers' is for a server's address") }
    }

    private static func command(_ reader: YAMLReader) -> [String] {
        let words = reader.oneOrMore("mcp", text: { $0 }) { keys in
            for key in ["command", "args", "url"] where keys.has(key) {
                keys.refuse(key, "a server's command is a list, 'mcp: [COMMAND, ARGUMENT, …]'; its address is 'url: …'")
            }
            return ""
        }
        if words.count == 1, words[0].contains(" ") {
            let list = words[0].split(separator: " ").joined(separator: ", ")
            reader.refuse("mcp", "a command is a list of its words: 'mcp: [\(list)]'")
        }
        return words
    }

    private static func texts(_ key: String, _ reader: YAMLReader) -> [String: String]? {
        guard reader.has(key) else { return nil }
        let pairs = reader.named(key, text: { $0 }) { _ in "" }
        return Dictionary(pairs.map { ($0.name, $0.value) }, uniquingKeysWith: { $1 })
    }
}

extension [String: ToolSpecification.Effect] {
    /// One effect for all functions, or a table of them.
    init(reading reader: YAMLReader) {
        self = [:]
        func effect(_ text: String) -> ToolSpecification.Effect {
            if let effect = ToolSpecification.Effect(rawValue: text) { return effect }
            reader.refuse("effect", "'effect' must be pure or external, not '\(text)'")
            return .external
        }
        guard reader.has("effect") else { return }
        if let one = reader.textIfAny("effect") {
            self["*"] = effect(one)
        } else {
            for (name, value) in reader.named("effect", text: effect, mapping: { _ in .external }) {
                self[name] = value
            }
        }
    }
}

extension DomainPlan.Documents {
    init(reading reader: YAMLReader) {
        if let service = DomainPlan.DocumentService(reading: reader) {
            self.init(service: service)
        } else {
            self.init(path: reader.string("path"))
        }
        tool = reader.string("tool", default: tool)
        description = reader.string("description", default: description)
        results = reader.integer("results", default: results, in: 1...100)
        let how = DomainPlan.DocumentSearch(reading: reader)
        search = how == DomainPlan.DocumentSearch() ? nil : how
        if service != nil {
            for key in ["search", "encoder"] where reader.has(key) {
                reader.refuse(key, "'\(key)' is the server's own where 'service' names one")
            }
        }
        if tool.wholeMatch(of: /[A-Za-z_][A-Za-z0-9_]*/) == nil {
            reader.refuse("tool", "'tool' must be a Python name, not '\(tool)'")
        } else if let reason = PythonNames.fault(tool, isOwn: true) {
            reader.refuse("tool", "'\(tool)' is \(reason); choose another name")
        }
    }
}

extension GraderPlan {
    /// A grader given by its name alone.
    init(named name: String, _ reader: YAMLReader) {
        guard let kind = Kind(rawValue: name) else {
            let known = Kind.allCases.map(\.rawValue)
            let hint = YAMLReader.nearest(name, among: known).map { "; did you mean '\($0)'?" } ?? ""
            reader.refuse("grader", "there is no grader '\(name)'; known are \(known.joined(separator: ", "))\(hint)")
            self.init(.exact)
            return
        }
        self.init(kind)
        if kind == .judge {
            reader.refuse("grader", "the grader 'judge' needs a 'rubric': {kind: judge, rubric: …}")
        }
    }

    init(reading reader: YAMLReader) {
        self.init(reader.choice("kind", default: .exact))
        if reader.has("threshold") { threshold = reader.number("threshold", default: 0.5, in: 0...1) }
        if reader.has("tolerance") { tolerance = reader.number("tolerance", default: 0, in: 0...1e9) }
        if reader.has("ordered") { ordered = reader.flag("ordered", default: false) }
        rubric = reader.optionalString("rubric")
        let fits: [(String, Bool, Bool)] = [
            ("threshold", threshold != nil, kind == .overlap),
            ("tolerance", tolerance != nil, [.number, .rows, .json].contains(kind)),
            ("ordered", ordered != nil, kind == .rows), ("rubric", rubric != nil, kind == .judge),
        ]
        for (key, isGiven, isKnown) in fits where isGiven && !isKnown {
            reader.refuse(key, "the grader '\(kind.rawValue)' has no '\(key)'")
        }
        if kind == .judge, rubric == nil { reader.refuse("kind", "the grader 'judge' needs a 'rubric'") }
    }
}
