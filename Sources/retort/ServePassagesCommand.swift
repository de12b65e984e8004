import ArgumentParser
import Foundation
import Logging
import RetortCore
import RetortDomains
import RetortLLM
import RetortRecipes
import RetortRetrieval
import RetortServer
import ServiceLifecycle
import Synchronization

/// `retort serve-passages`
struct ServePassagesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve-passages", abstract: "Serve a search of passages by Search-R1's protocol.",
        discussion: """
            A place is a domain (its 'documents' are served the way it searches them), JSON Lines of passages, a \
            folder of documents, an index (.sqlite), or another server's address. Several places are parts of one \
            collection: all are asked at once, and their lists are merged by scores, so a server can be put in front \
            of others that hold a part each.

              retort serve-passages wiki-18.jsonl
              retort serve-passages wiki-18.sqlite --search dense --encoder intfloat/e5-base-v2 \
            --query-prompt 'query: ' --passage-prompt 'passage: '
              retort serve-passages shop/ --port 8005
              retort serve-passages http://first:8000 http://second:8000
              curl http://127.0.0.1:8000/retrieve -H 'Content-Type: application/json' \
            -d '{"queries": ["capital of France"], "topk": 3, "return_scores": true}'

            Search-R1, verl and agent-distillation use such servers, and so do domains with 'documents: {service: \
            ADDRESS}'. Keys are read from RETORT_API_KEY or a file. Missing indexes are built first (see 'retort \
            index'); until then requests get status 503, or with --early results from what is indexed so far.
            """)

    @Argument(help: "Domains, documents, indices and servers.") var places: [String]
    @Option(help: "How passages are found: bm25, dense or hybrid (with an encoder).") var search:
        DomainPlan.DocumentSearch.Kind?
    @Option(help: "An encoder's folder or name.") var encoder: String?
    @Option(help: "The prompt for queries, instead of the one in the encoder's files.") var queryPrompt: String?
    @Option(help: "The prompt for passages, instead of the one in the encoder's files.") var passagePrompt: String?
    @Option(help: "A cross-encoder's folder or name: what was found is put in order by it.") var rerank: String?
    @Option(help: "How the models' weights are held: float32 or bfloat16; by default what is fastest here.")
    var weights: WeightPrecision?
    @Flag(inversion: .prefixedNo, help: "Whether titles stand in quotation marks in 'contents' (as in the corpus).")
    var quoteTitles: Bool?
    @Flag(help: "While an index is being made, find by words what is indexed so far; else requests get status 503.")
    var early = false

    @Option(help: "The interface to listen on; 0.0.0.0 is all of them.") var host = "127.0.0.1"
    @Option(help: "The port; 0 takes any free one. Agent-distillation's agents ask 8005.") var port = 8000
    @Option(help: "A file with one API key a line.") var keys: String?
    @Option(help: "Passages for a query where a request names no 'topk'.") var results = 3
    @Option(help: "The most queries of a request.") var maximumQueries = 4096
    @Option(help: "The most requests that are worked on at once.") var maximumRunning = 32
    @Option(help: "The most requests that wait; further ones get status 503.") var maximumWaiting = 1024
    @Option(help: "The longest a request may take, in seconds.") var requestSeconds = 60.0
    @Option(help: "How many lists of passages are remembered.") var remembered = 4096

    func validate() throws {
        guard !places.isEmpty else { throw ValidationError("name what is to be searched") }
        guard (0...65535).contains(port) else { throw ValidationError("--port must be 0 to 65535") }
        guard (1...1000).contains(results) else { throw ValidationError("--results must be 1 to 1000") }
        guard remembered >= 0 else { throw ValidationError("--remembered must be 0 or more") }
        guard requestSeconds > 0 else { throw ValidationError("--request-seconds must be above 0") }
        for (name, value) in [("maximum-queries", maximumQueries), ("maximum-running", maximumRunning)] where value < 1
        {
            throw ValidationError("--\(name) must be at least 1")
        }
        if let weights, weights != .float32, weights != .bfloat16 {
            throw ValidationError("--weights must be float32 or bfloat16")
        }
        if search == .bm25, encoder != nil {
            throw ValidationError("--encoder is for --search dense and --search hybrid")
        }
        if keys == nil, Self.keyOfEnvironment == [""] {
            throw ValidationError("RETORT_API_KEY is empty; unset it to let everybody in")
        }
        let isOfEncoder = encoder != nil || queryPrompt != nil || passagePrompt != nil || search != nil
        if isOfEncoder, let server = places.first(where: SearchedPlace.isAddress) {
            throw ValidationError("\(server) searches in its own way; leave --search and --encoder to it")
        }
    }

    func run() async throws {
        let logger = Logger(label: "retort.passages") { StreamLogHandler.standardError(label: $0) }
        let parts = places.map { _ in GrowingSearch(early ? .searchesWhatIsThere : .refuses) }
        let search: any PassageSearch = parts.count == 1 ? parts[0] : MergedSearch(parts)
        let quotesTitles = quoteTitles
        let titles = TitleForm(quotesTitles ?? false)
        let server = PassageServer(
            search, options: try options(), logger: logger,
            preparing: {
                let open = zip(places, parts).compactMap { place, part in part.progress.map { "\(place): \($0)" } }
                return open.isEmpty ? nil : open.joined(separator: "; ")
            }, quotesTitles: { titles.isQuoted }, onStart: { greet(port: $0) })
        // Running requests may finish.
        InterruptHandler.shared.allow(seconds: requestSeconds + 10)
        let group = ServiceGroup(services: [server], logger: logger)
        try await withThrowingTaskGroup(of: Bool.self) { tasks in
            tasks.addTask {
                try await serve(group)
                return true
            }
            tasks.addTask {
                for (place, part) in zip(places, parts) {
                    let opened = try await open(place, part)
                    if quotesTitles == nil, opened.quotesTitles { titles.quote() }
                    part.set(opened.search)
                }
                return false
            }
            // The command ends when a place cannot be opened, and when the server ends.
            for try await isServerEnd in tasks where isServerEnd { tasks.cancelAll() }
        }
    }

    private func serve(_ group: ServiceGroup) async throws {
        let work = Task { try await group.run() }
        try await withTaskCancellationHandler {
            try await work.value
        } onCancel: {
            Task { await group.triggerGracefulShutdown() }
        }
    }

    private func open(_ place: String, _ part: GrowingSearch) async throws -> OpenedDocuments {
        let plan = try SearchedPlace.plan(place)
        guard var documents = plan.documents else { throw ValidationError("\(place) has no 'documents' to search") }
        var how = documents.search ?? .init()
        if let encoder { how.encoder = encoder }
        how.kind = search ?? (encoder == nil ? how.kind : .hybrid)
        if how.kind == .bm25 { how.encoder = nil }
        guard how.kind == .bm25 || how.encoder != nil else {
            throw ValidationError("--search \(how.kind.rawValue) needs an --encoder")
        }
        (how.queryPrompt, how.passagePrompt) = (queryPrompt ?? how.queryPrompt, passagePrompt ?? how.passagePrompt)
        how.rerank = rerank ?? how.rerank
        // Snippets are for an agent's prompt; a server returns whole passages.
        how.characters = nil
        documents.search = how == .init() ? nil : how
        let show = embeddingProgress()
        return try await SearchedPlace.open(documents, of: plan, weights: weights) { progress in
            show(progress)
            part.note(progress)
        }
    }

    private func options() throws -> PassageServerOptions {
        var options = PassageServerOptions()
        (options.host, options.port, options.results) = (host, port, results)
        options.keys = try keys.map { try APIKeys(file: URL(fileURLWithPath: $0)) } ?? APIKeys(Self.keyOfEnvironment)
        (options.maximumRunning, options.maximumWaiting) = (maximumRunning, maximumWaiting)
        (options.maximumQueries, options.remembered) = (maximumQueries, remembered)
        options.requestSeconds = requestSeconds
        return options
    }

    private static var keyOfEnvironment: [String] {
        ProcessInfo.processInfo.environment["RETORT_API_KEY"].map { [$0] } ?? []
    }

    private func greet(port: Int) {
        let name = host == "0.0.0.0" ? "127.0.0.1" : host.contains(":") ? "[\(host)]" : host
        // Not with `print`, which buffers when the output is a pipe.
        FileHandle.standardOutput.write(
            Data("Serving \(places.joined(separator: ", ")) at http://\(name):\(port)/retrieve\n".utf8))
        if keys == nil, Self.keyOfEnvironment.isEmpty, !["127.0.0.1", "::1", "localhost"].contains(host) {
            FileHandle.standardError.write(
                Data("warning: no key is set, and \(host) can be reached from other machines\n".utf8))
        }
    }
}

extension DomainPlan.DocumentSearch.Kind: ExpressibleByArgument {}

/// Whether titles are quoted, once that is known.
private final class TitleForm: Sendable {
    private let quoted: Atomic<Bool>

    init(_ isQuoted: Bool) { quoted = Atomic(isQuoted) }

    var isQuoted: Bool { quoted.load(ordering: .relaxed) }

    func quote() { quoted.store(true, ordering: .relaxed) }
}
