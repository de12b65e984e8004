import Foundation
import Testing

@testable import RetortRetrieval

@Suite("Search by meaning, and by both")
final class DenseIndexTests {
    private let folder: TestFolder
    private let passages = [
        (id: "a", contents: "Tirn\\nA town by the river Oss."), (id: "b", contents: "Vane\\nA painter of ships."),
        (id: "c", contents: "Oss\\nA river that flows north."), (id: "d", contents: "Quill\\nA poet and a sailor."),
    ]

    init() throws { folder = try TestFolder() }

    deinit { folder.remove() }

    private var file: URL { folder.url.appendingPathComponent("passages.faiss") }

    private func build(_ index: PassageIndex, _ encoder: WordEncoder) async throws -> DenseIndex {
        try await DenseIndex.buildIfNeeded(
            of: index, by: encoder, to: file, store: folder.url.appendingPathComponent("\(encoder.identity).vectors"))
        return try DenseIndex(index, vectors: file, encoder: encoder)
    }

    @Test("passages are found by their vectors, best first")
    func search() async throws {
        let dense = try await build(folder.index(passages), WordEncoder())
        #expect(try await dense.search("painter of ships", limit: 2).first?.id == "b")
        #expect(try await dense.search("a poet", limit: 10).count == 4)
        #expect(try await dense.search(" ", limit: 3).isEmpty)
        #expect(try await dense.search("poet", limit: 0).isEmpty)
    }

    @Test("what was embedded is not embedded again: nothing when nothing changed, else the texts that are new")
    func incremental() async throws {
        _ = try await build(folder.index(passages), WordEncoder())
        let again = WordEncoder()
        _ = try await build(folder.index(passages), again)
        #expect(again.texts.isEmpty)
        let changed =
            passages.dropFirst() + [
                (id: "a2", contents: "Tirn\\nA city."), (id: "e", contents: "Vane\\nA painter of ships."),
            ]
        let third = WordEncoder()
        let dense = try await build(folder.index(Array(changed)), third)
        #expect(third.texts == ["Tirn\nA city."])
        #expect(try await dense.search("painter of ships", limit: 2).map(\.id) == ["b", "e"])
        let other = WordEncoder("other")
        _ = try await build(folder.index(Array(changed)), other)
        #expect(other.texts.count == 4)
    }

    @Test("a work that broke goes on behind its last batch, and ends as one that did not")
    func resume() async throws {
        let many = (0..<700).map { (id: "p\(1000 + $0)", contents: "Title\($0)\\nBody number \($0 * 7 % 13)") }
        let index = try folder.index(many)
        let broken = WordEncoder(breaksAfter: 300)
        await #expect(throws: WordEncoder.Broken.self) { try await self.build(index, broken) }
        #expect(throws: RetrievalError.self) { try DenseIndex(index, vectors: self.file, encoder: broken) }
        let second = WordEncoder()
        _ = try await build(index, second)
        #expect(second.texts.count == 700 - 256)
        let resumed = try Data(contentsOf: file)
        try FileManager.default.removeItem(at: file)
        try FileManager.default.removeItem(at: folder.url.appendingPathComponent("words.vectors"))
        _ = try await build(index, WordEncoder())
        #expect(try Data(contentsOf: file) == resumed)
    }

    @Test("vectors of other passages or of another encoder are not searched")
    func stale() async throws {
        _ = try await build(folder.index(passages), WordEncoder())
        let other = try folder.index(passages.dropLast(), named: "others")
        for (index, encoder) in [(other, WordEncoder()), (try folder.index(passages), WordEncoder("another"))] {
            #expect(throws: RetrievalError.self) { try DenseIndex(index, vectors: self.file, encoder: encoder) }
        }
    }

    @Test("queries that come at once go through the encoder together, and are remembered")
    func batches() async throws {
        let encoder = WordEncoder()
        let queries = QueryVectors(encoder)
        let vectors = try await withThrowingTaskGroup(of: (Int, [Float]).self) { group in
            for number in 0..<20 { group.addTask { (number, try await queries.vector("word\(number % 10)")) } }
            return try await group.reduce(into: [Int: [Float]]()) { $0[$1.0] = $1.1 }
        }
        #expect(vectors.count == 20 && vectors[3] == vectors[13] && vectors[3]?.count == 32)
        #expect(encoder.calls.count < 10)
        let before = encoder.calls.count
        _ = try await queries.vector("word4")
        #expect(encoder.calls.count == before)
    }

    @Test("two lists are joined by ranks: what both hold comes first")
    func hybrid() async throws {
        func list(_ ids: String...) -> [RetrievedPassage] {
            ids.map { RetrievedPassage(id: $0, title: "", text: "", score: 0) }
        }
        let joined = HybridSearch.joined([list("x", "y", "z"), list("q", "z", "y")])
        #expect(joined.map(\.id) == ["y", "z", "q", "x"])
        #expect(abs(joined[0].score - (1 / 62.0 + 1 / 63.0)) < 1e-12)
        let index = try folder.index(passages)
        let search = HybridSearch([index, try await build(index, WordEncoder())])
        #expect(try await search.search("the river Oss", limit: 1).count == 1)
    }

    private struct LengthRanker: PassageRanker {
        let identity = "length"
        func scores(_ query: String, _ texts: [String]) async throws -> [Float] { texts.map { Float(-$0.count) } }
    }

    @Test("a re-ranker has the last word on what was found")
    func ranked() async throws {
        let search = RankedSearch(try folder.index(passages), by: LengthRanker(), depth: 4)
        #expect(try await search.search("painter town poet river", limit: 2).map(\.id) == ["b", "d"])
    }
}
