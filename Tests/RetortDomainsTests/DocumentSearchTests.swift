import Foundation
import RetortCore
import RetortRetrieval
import Synchronization
import Testing

@testable import RetortDomains

/// Models for tests: a passage's vector says which of some words it holds.
private final class TopicModels: RetrievalModels {
    let version: String
    private let embedded = Mutex<[String]>([])

    init(_ version: String = "1") { self.version = version }

    var texts: [String] { embedded.withLock { $0 } }

    struct Encoder: PassageEncoder {
        let models: TopicModels
        let identity: String
        var dimensions: Int { 3 }

        func embedQueries(_ texts: [String]) async throws -> [Float] { vectors(texts) }
        func embedPassages(_ texts: [String]) async throws -> [Float] {
            models.embedded.withLock { $0 += texts }
            return vectors(texts)
        }

        private func vectors(_ texts: [String]) -> [Float] {
            texts.flatMap { text -> [Float] in
                let topics = [["cat", "kitten"], ["car", "engine"], ["soup", "broth"]]
                return topics.map { words in words.contains { text.lowercased().contains($0) } ? 1 : 0 }
            }
        }
    }

    struct Ranker: PassageRanker {
        let identity: String
        func scores(_ query: String, _ texts: [String]) async throws -> [Float] { texts.map { Float(-$0.count) } }
    }

    func encoder(
        _ place: String, prompts: (query: String?, passage: String?)
    ) async throws -> OpenedModel<any PassageEncoder> {
        let identity = [place, version, prompts.query ?? "", prompts.passage ?? ""].joined(separator: "|")
        return OpenedModel(Encoder(models: self, identity: identity), folder: "/models", files: ["config.json"])
    }

    func ranker(_ place: String) async throws -> OpenedModel<any PassageRanker> {
        OpenedModel(Ranker(identity: place), folder: "/rankers", files: ["config.json"])
    }
}

@Suite("How a domain's documents are searched")
struct DocumentSearchTests {
    private func folder(_ documents: String) throws -> DomainFolder {
        try DomainFolder([
            "domain.yaml": "tasks: {test: {in: test.jsonl}}\ndocuments: \(documents)\n",
            "test.jsonl": "{\"id\": \"1\", \"question\": \"q\", \"answer\": \"a\"}\n",
            "notes/pets.md": "# Pets\nA kitten sleeps. It purrs at night.", "notes/cars.md": "# Cars\nAn engine roars.",
            "notes/food.md": "# Food\nBroth simmers for hours and hours on the stove.",
        ])
    }

    private func open(_ folder: DomainFolder, _ models: any RetrievalModels) async throws -> FolderDomain {
        try await FolderDomain(
            DomainPlan(folder.url), keepingIndexIn: folder.url.appendingPathComponent("index"), models: models)
    }

    private func first(_ domain: FolderDomain, _ query: String) async throws -> String {
        try await domain.retriever?.call(["query": .string(query)]).string ?? ""
    }

    @Test("by meaning, and by both, what shares no word with the query is found")
    func dense() async throws {
        for search in ["dense", "hybrid"] {
            let folder = try folder("{path: notes, search: \(search), encoder: topics, results: 1}")
            defer { folder.remove() }
            let domain = try await open(folder, TopicModels())
            #expect(try await first(domain, "cat").hasPrefix("[1] Pets"))
            #expect(domain.opened?.vectors.count == 2 && domain.opened?.encoder?.folder == "/models")
        }
        let words = try folder("{path: notes, results: 1}")
        defer { words.remove() }
        #expect(try await first(open(words, TopicModels()), "cat") == "(no results)")
    }

    @Test("a re-ranker orders what was found, and passages are cut to whole sentences")
    func ranked() async throws {
        let folder = try folder("{path: notes, rerank: short, characters: 40, results: 3}")
        defer { folder.remove() }
        let found = try await first(open(folder, TopicModels()), "kitten engine broth")
        #expect(
            found
                == "[1] Cars\nAn engine roars.\n[2] Pets\nA kitten sleeps. It purrs at night.\n[3] Food\nBroth simmers for hours and hours on…"
        )
    }

    @Test("of documents that changed, the new passages alone are embedded")
    func incremental() async throws {
        let folder = try folder("{path: notes, encoder: topics}")
        defer { folder.remove() }
        let (first, second) = (TopicModels(), TopicModels())
        _ = try await open(folder, first)
        #expect(first.texts.count == 3)
        try Data("# Cars\nA car stops.".utf8).write(to: folder.url.appendingPathComponent("notes/cars.md"))
        _ = try await open(folder, second)
        #expect(second.texts == ["Cars\nA car stops."])
    }

    @Test("what results depend on names the search, the encoder and the re-ranker by their content")
    func identity() async throws {
        func content(_ documents: String, _ models: TopicModels) async throws -> [String] {
            let folder = try folder(documents)
            defer { folder.remove() }
            return try await open(folder, models).content(of: .tools) { _ in "digest" }.map { "\($0.name)=\($0.value)" }
        }
        let plain = try await content("{path: notes}", TopicModels())
        let dense = try await content("{path: notes, search: dense, encoder: t}", TopicModels())
        let others = [
            plain, dense, try await content("{path: notes, search: dense, encoder: t}", TopicModels("2")),
            try await content("{path: notes, search: hybrid, encoder: t}", TopicModels()),
            try await content("{path: notes, encoder: {model: t, query: 'query: '}}", TopicModels()),
            try await content("{path: notes, rerank: r}", TopicModels()),
            try await content("{path: notes, characters: 100}", TopicModels()),
        ]
        #expect(Set(others).count == others.count)
        #expect(try await content("{path: notes, search: dense, encoder: t}", TopicModels()) == dense)
        #expect(!plain.joined().contains("documents.search"))
    }

    @Test(
        "what cannot be meant is refused",
        arguments: [
            ("{path: notes, search: dense}", "needs an 'encoder'"),
            ("{path: notes, search: bm25, encoder: t}", "'encoder' is for"),
            ("{path: notes, search: denze, encoder: t}", "did you mean 'dense'"),
            ("{path: notes, encoder: {query: x}}", "model"), ("{path: notes, characters: 3}", "characters"),
            ("{path: notes, ranker: t}", "ranker"),
        ])
    func refusals(documents: String, words: String) throws {
        let folder = try folder(documents)
        defer { folder.remove() }
        let error = #expect(throws: RecipeError.self) { try DomainPlan(folder.url) }
        #expect("\(try #require(error))".contains(words))
    }

    @Test("where nothing opens encoders, the error says so")
    func noModels() async throws {
        let folder = try folder("{path: notes, encoder: minilm}")
        defer { folder.remove() }
        await #expect(throws: RetrievalError.self) { try await folder.open() }
    }
}
