import Foundation
import RetortCore
import RetortDomains
import RetortEvaluation
import RetortPython
import RetortRetrieval
import RetortWorld

/// The parts of a domain that an agent's tools need: no tasks and no graders.
struct AgentDomain: Codable, Sendable, Hashable {
    /// The domain's name.
    var name: String
    /// The kind of answer that its tasks ask for.
    var family: AgentTask.Family
    /// Python files whose functions are tools, by their paths in the agent's folder.
    var python: [DomainPlan.PythonTools]
    /// Servers of the Model Context Protocol, as the domain names them.
    var servers: [DomainPlan.MCPServer]
    /// Documents to search; nil where there are none.
    var documents: Documents?
    /// The built-in world's APIs, which are made again from their seed; nil elsewhere.
    var apis: APIs?

    /// A finished index, or the servers that search, with the search tool.
    struct Documents: Codable, Sendable, Hashable {
        /// The index's path in the agent's folder; nil where a server searches.
        var index: String?
        var service: DomainPlan.DocumentService?
        var tool: String
        var description: String
        /// How many passages a search returns.
        var results: Int
        /// How they are searched, with the models' paths in the agent's folder; nil is by words.
        var search: DomainPlan.DocumentSearch?
        /// The files of vectors beside the index.
        var vectors: [String]?

        /// All paths that it names: files, and folders of models.
        var paths: [String] { [index, search?.encoder, search?.rerank].compactMap(\.self) + (vectors ?? []) }

        /// Whether a file belongs to it.
        func needs(_ path: String) -> Bool { paths.contains { path == $0 || path.hasPrefix("\($0)/") } }
    }

    /// An `APIWorldPlan` without tasks.
    struct APIs: Codable, Sendable, Hashable {
        var seed: UInt64
        var people: Int
    }

    /// The folder for its files.
    static let folder = "domain"
    private static let mostPeople = 200_000

    /// The common beginning of the paths of all files that belong to the documents.
    static func place(ofDocuments index: String) -> String { (index as NSString).deletingPathExtension }

    /// All paths that it names.
    var paths: [String] {
        python.flatMap { [$0.file] + $0.files } + (documents?.paths ?? [])
    }

    /// The processes that it starts with the user's rights, in words.
    var processes: [String] {
        python.filter { $0.place == .host }.map { "the functions of \($0.file)" }
            + servers.filter { !$0.command.isEmpty }.map { "'\($0.command.joined(separator: " "))'" }
    }

    /// Opens the domain.
    /// - Parameter folder: the agent's folder.
    /// - Throws: the errors of opening a domain.
    func open(in folder: URL, limits: PythonLimits, requiring sandbox: SandboxLevel) async throws -> any Domain {
        if let apis {
            guard (20...Self.mostPeople).contains(apis.people) else {
                throw AgentError.malformed(
                    file: folder.appendingPathComponent(AgentFile.name).path,
                    "domain.apis.people must be 20 to \(Self.mostPeople), not \(apis.people)")
            }
            return try APIWorldDomain(APIWorldPlan(seed: apis.seed, people: apis.people, train: 0), tests: 0)
        }
        // A domain's own keys; an agent has only the few that its tools need.
        let reader = YAMLReader(try YAMLFile.root("{}", file: name), faults: YAMLReader.Faults())
        var plan = DomainPlan(reader, folder: folder.path)
        plan.name = name
        (plan.python, plan.servers) = (python, servers)
        plan.documents = documents.map { documents in
            var own = documents.service.map { DomainPlan.Documents(service: $0) } ?? .init(path: documents.index ?? "")
            (own.tool, own.description, own.results) = (documents.tool, documents.description, documents.results)
            own.search = documents.search
            return own
        }
        return try await FolderDomain(
            plan, keepingIndexIn: folder, limits: limits, requiring: sandbox, models: LocalRetrievalModels())
    }
}

/// A file to be copied into an agent's folder.
struct PackedFile: Sendable, Hashable {
    /// Where it is.
    let source: URL
    /// Its path in the agent's folder.
    let path: String
    /// Whether the run made it and never changes it in place, so that a hard link suffices.
    let isOurs: Bool

    private static let deepest = 32

    /// A user's file, or all files of a folder, except hidden ones and Python's caches. Links are followed.
    /// - Throws: `DomainError.badDocument` for endlessly nested folders.
    static func all(of place: URL, as path: String, depth: Int = 0) throws -> [PackedFile] {
        let real = place.resolvingSymlinksInPath()
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: real.path, isDirectory: &isFolder) else {
            throw DomainError.noFile(what: path, path: place.path)
        }
        guard isFolder.boolValue else { return [PackedFile(source: real, path: path, isOurs: false)] }
        guard depth < deepest else {
            throw DomainError.badDocument(file: place.path, reason: "its folders lie more than \(deepest) deep")
        }
        return try FileManager.default.contentsOfDirectory(atPath: real.path).sorted()
            .filter { !$0.hasPrefix(".") && $0 != "__pycache__" }
            .flatMap { try all(of: real.appendingPathComponent($0), as: "\(path)/\($0)", depth: depth + 1) }
    }
}

extension DomainChoice {
    /// What an agent needs of the domain, and the files of it.
    /// - Parameters:
    ///   - plan: the agent's plan; an agent that answers in one go needs only the documents that it reads.
    ///   - index: the index of its documents, where it has some.
    ///   - domain: the opened domain, which knows what its modules import.
    func packed(
        for plan: AgentPlan, index: URL, of domain: any Domain
    ) throws -> (domain: AgentDomain, files: [PackedFile]) {
        var (domain, files) = try packed(index: index, domain as? FolderDomain)
        guard case .reasoning(_, let retrieves) = plan.view else { return (domain, files) }
        (domain.python, domain.servers, domain.apis) = ([], [], nil)
        if !retrieves { domain.documents = nil }
        files = files.filter { domain.documents?.needs($0.path) ?? false }
        return (domain, files)
    }

    /// Everything that the domain's tools need.
    func packed(
        index: URL, _ opened: FolderDomain?
    ) throws -> (domain: AgentDomain, files: [PackedFile]) {
        let name = "\(AgentDomain.folder)/documents.sqlite"
        let indexFile = PackedFile(source: index, path: name, isOurs: true)
        switch self {
        case .apis(let plan):
            let apis = AgentDomain.APIs(seed: plan.seed, people: plan.people)
            return (AgentDomain(name: "apis", family: .factual, python: [], servers: [], apis: apis), [])
        case .world(let plan):
            let search = WebSearchTool.specification
            let documents = AgentDomain.Documents(
                index: name, tool: search.name, description: search.summary, results: plan.passages)
            let domain = AgentDomain(name: "world", family: .factual, python: [], servers: [], documents: documents)
            return (domain, [indexFile])
        case .folder(let plan):
            var (tools, files): ([DomainPlan.PythonTools], [PackedFile]) = ([], [])
            for (number, tool) in plan.python.enumerated() {
                let (packed, own) = try plan.packed(tool, number, opened?.companions(of: tool.file) ?? [])
                tools.append(packed)
                files += own
            }
            let (documents, own) = plan.packedDocuments(indexFile, opened?.opened)
            let domain = AgentDomain(
                name: plan.name, family: plan.grader.family, python: tools, servers: plan.servers,
                documents: documents)
            return (domain, files + own)
        }
    }
}

extension DomainPlan {
    /// The documents' index with everything that its search needs: vectors, encoder and cross-encoder.
    fileprivate func packedDocuments(
        _ index: PackedFile, _ opened: OpenedDocuments?
    ) -> (AgentDomain.Documents?, [PackedFile]) {
        guard let plan = documents else { return (nil, []) }
        var documents = AgentDomain.Documents(
            index: plan.service == nil ? index.path : nil, service: plan.service, tool: plan.tool,
            description: plan.description, results: plan.results)
        var files: [PackedFile] = []
        if plan.service == nil {
            // An existing index belongs to the user.
            let own = opened?.index ?? index.source
            files.append(PackedFile(source: own, path: index.path, isOurs: index.isOurs && own != opened?.corpus))
        }
        guard var search = plan.search, let opened else { return (documents, files) }
        let place = AgentDomain.place(ofDocuments: index.path)
        let vectors = zip(opened.vectors, ["faiss", "faiss.json"]).map { file, ending in
            PackedFile(source: file, path: "\(place).\(ending)", isOurs: true)
        }
        documents.vectors = vectors.isEmpty ? nil : vectors.map(\.path)
        files += vectors
        func pack(_ model: (folder: String, files: [String]), as name: String) -> String {
            files += model.files.map { file in
                let source = URL(fileURLWithPath: model.folder).appendingPathComponent(file).resolvingSymlinksInPath()
                return PackedFile(source: source, path: "\(place)-\(name)/\(file)", isOurs: false)
            }
            return "\(place)-\(name)"
        }
        search.encoder = opened.encoder.map { pack($0, as: "encoder") }
        search.rerank = opened.ranker.map { pack($0, as: "reranker") }
        documents.search = search
        return (documents, files)
    }

    /// A file of tools with what it may read and imports. Its folder keeps its structure, because the file finds the
    /// others beside itself.
    fileprivate func packed(
        _ tool: PythonTools, _ number: Int, _ companions: [PythonModule.Companion]
    ) throws -> (PythonTools, [PackedFile]) {
        let file = url(tool.file)
        let root = URL(fileURLWithPath: folder).standardizedFileURL.path + "/"
        let beside = file.deletingLastPathComponent()
        let home =
            file.path.hasPrefix(root)
            ? ([AgentDomain.folder] + beside.path.dropFirst(root.count).split(separator: "/").map(String.init))
                .joined(separator: "/")
            : "\(AgentDomain.folder)/outside-\(number)"
        var packed = tool
        packed.file = "\(home)/\(file.lastPathComponent)"
        packed.files = []
        var files = [PackedFile(source: file.resolvingSymlinksInPath(), path: packed.file, isOurs: false)]
        for path in tool.files {
            let place = url(path)
            guard place.path.hasPrefix(beside.path + "/") else {
                throw DomainError.outside(file: place.path, folder: beside.path)
            }
            let inside = String(place.path.dropFirst(beside.path.count + 1))
            packed.files.append("\(home)/\(inside)")
            files += try PackedFile.all(of: place, as: "\(home)/\(inside)")
        }
        for companion in companions {
            let path = "\(home)/\(companion.place)"
            if !packed.files.contains(path) { packed.files.append(path) }
            files += try PackedFile.all(of: companion.file, as: path)
        }
        return (packed, files)
    }
}
