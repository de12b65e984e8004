import Foundation
import GRDB
import RetortCore
import Testing

@testable import RetortRetrieval

@Suite("Building a passage index")
final class IndexBuildingTests {
    private let folder: URL
    private var corpus: URL { folder.appendingPathComponent("passages.jsonl") }
    private var file: URL { folder.appendingPathComponent("passages.index") }

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("retort-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try write(
            "{\"id\": \"a\", \"contents\": \"Tirn\\nA town.\"}\n{\"id\": 7, \"contents\": \"Vane\\nA painter.\"}\n")
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    private func write(_ text: String) throws { try Data(text.utf8).write(to: corpus) }

    @Test("an index on disk finds what one in memory finds")
    func onDisk() async throws {
        #expect(try PassageIndex.build(from: corpus, to: file) == 2)
        let index = try PassageIndex(file)
        #expect(index.count == 2)
        #expect(try await index.search("painter town").map(\.id) == ["a", "7"])
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == [
                "passages.index", "passages.jsonl",
            ])
    }

    @Test("it is built again only when the corpus changed, were it by one letter")
    func unchanged() async throws {
        func isBuilt() throws -> Bool {
            var built = false
            try PassageIndex.buildIfNeeded(from: corpus, to: file) { _ in built = true }
            return built
        }
        #expect(try isBuilt())
        #expect(try !isBuilt())
        try write(
            "{\"id\": \"a\", \"contents\": \"Tarn\\nA town.\"}\n{\"id\": 7, \"contents\": \"Vane\\nA painter.\"}\n")
        #expect(try isBuilt())
        #expect(try await PassageIndex(file).search("Tarn").map(\.id) == ["a"])
        try Data("rubbish".utf8).write(to: file)
        #expect(try isBuilt())
    }

    @Test("progress is told to the end")
    func progress() throws {
        try write((0..<12_000).map { "{\"id\":\"\($0)\",\"contents\":\"t\\nx\"}\n" }.joined())
        var told: [Int] = []
        try PassageIndex.build(from: corpus, to: file) { told.append($0) }
        #expect(told == [5000, 10_000, 12_000])
    }

    @Test("a malformed passage is named by line, and the previous index stands")
    func malformed() async throws {
        try PassageIndex.build(from: corpus, to: file)
        try write("{\"id\": \"b\", \"contents\": \"x\"}\n\n{\"id\": \"c\"}\n")
        #expect(throws: JSONLinesError.malformed(file: corpus.path, line: 3, reason: "it lacks 'contents'")) {
            try PassageIndex.buildIfNeeded(from: self.corpus, to: self.file)
        }
        #expect(try await PassageIndex(file).search("painter").map(\.id) == ["7"])
    }

    @Test("two passages with one id are named by line")
    func repeatedID() throws {
        try write("{\"id\": \"b\", \"contents\": \"x\"}\n{\"id\": \"b\", \"contents\": \"y\"}\n")
        #expect(throws: RetrievalError.repeatedID(file: corpus.path, line: 2, id: "b")) {
            try PassageIndex.build(from: self.corpus, to: self.file)
        }
        #expect(!FileManager.default.fileExists(atPath: file.path))
    }

    @Test("what is missing, no index, or cannot be written is told")
    func errors() throws {
        #expect(throws: RetrievalError.missing(file: file.path)) { try PassageIndex(self.file) }
        let none = folder.appendingPathComponent("none.jsonl")
        #expect(throws: RetrievalError.missing(file: none.path)) { try PassageIndex.build(from: none, to: self.file) }
        #expect(throws: RetrievalError.notAnIndex(file: corpus.path, reason: "file is not a database")) {
            try PassageIndex(self.corpus)
        }
        let nowhere = folder.appendingPathComponent("no/such/file")
        let error = #expect(throws: RetrievalError.self) { try PassageIndex.build(from: self.corpus, to: nowhere) }
        #expect(error?.description.contains("could not be written") == true)
    }

    @Test("another database in the index's place is kept, and the index refused")
    func occupied() throws {
        let other = folder.appendingPathComponent("other.sqlite")
        try DatabaseQueue(path: other.path).write { try $0.execute(sql: "CREATE TABLE trajectory (id TEXT)") }
        #expect(throws: RetrievalError.occupied(file: other.path)) {
            try PassageIndex.buildIfNeeded(from: self.corpus, to: other)
        }
        #expect(try DatabaseQueue(path: other.path).read { try $0.tableExists("trajectory") })
    }

    @Test("a title that stands apart is the passage's title, once")
    func titlesApart() async throws {
        try write(
            #"{"id": "a", "contents": "A town."}"# + "\n" + #"{"id": "b", "title": "Vane", "contents": "A painter."}"#
                + "\n" + #"{"id": "c", "title": "Orme", "contents": "\"Orme\"\nA river."}"# + "\n")
        #expect(try PassageIndex.build(from: corpus, to: file) == 3)
        let found = try await PassageIndex(file).search("vane orme")
        #expect(Set(found.map(\.title)) == ["Vane", "Orme"])
        #expect(Set(found.map(\.text)) == ["A painter.", "A river."])
    }

    @Test("a NUL in a passage does not end its text")
    func nul() async throws {
        try write(#"{"id": "a", "contents": "Tirn\nA town.\u0000An afterword."}"# + "\n")
        #expect(try PassageIndex.build(from: corpus, to: file) == 1)
        #expect(try await PassageIndex(file).search("afterword").map(\.id) == ["a"])
    }
}
