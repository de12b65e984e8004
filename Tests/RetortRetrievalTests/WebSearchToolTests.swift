import Foundation
import RetortCore
import RetortRetrieval
import Testing

@Suite("web_search")
struct WebSearchToolTests {
    private func tool(limit: Int = 3) throws -> WebSearchTool {
        WebSearchTool(
            try PassageIndex(passages: [
                (id: "1", contents: "Tirn\nTirn is a town."), (id: "2", contents: "Vane\nVane was born in Tirn."),
            ]), limit: limit)
    }

    @Test("numbered titles with their texts, best first, without scores")
    func format() async throws {
        #expect(
            try await tool().call(["query": "Tirn"]) == "[1] Tirn\nTirn is a town.\n[2] Vane\nVane was born in Tirn.")
        #expect(try await tool(limit: 1).call(["query": "Tirn"]) == "[1] Tirn\nTirn is a town.")
    }

    @Test("nothing found is said", arguments: ["", "🧪", "zebra"])
    func nothing(query: String) async throws {
        #expect(try await tool().call(["query": .string(query)]) == "(no results)")
    }

    @Test("the model sees one required text parameter of a pure function")
    func specification() throws {
        let specification = try tool().specification
        #expect(specification.name == "web_search" && specification.effect == .pure)
        #expect(specification.parameters.map(\.name) == ["query"])
        #expect(throws: ToolError.self) { try specification.validated(["query": 5]) }
        #expect(throws: ToolError.self) { try specification.validated([:]) }
    }

    @Test("an index that is damaged while it serves halts the run, for no task could be answered")
    func damaged() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("retort-index-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let corpus = folder.appendingPathComponent("corpus.jsonl")
        let lines = (0..<2000).map { #"{"id": "\#($0)", "contents": "Town \#($0)\nTown \#($0) has a port."}"# }
        try Data(lines.joined(separator: "\n").utf8).write(to: corpus)
        let file = folder.appendingPathComponent("index.sqlite")
        try PassageIndex.buildIfNeeded(from: corpus, to: file)
        let tool = WebSearchTool(try PassageIndex(file))
        // The same file, overwritten.
        let size = try #require(try FileManager.default.attributesOfItem(atPath: file.path)[.size] as? Int)
        let handle = try FileHandle(forWritingTo: file)
        try handle.write(contentsOf: Data(repeating: 0xAB, count: size))
        try handle.close()
        let error = await #expect(throws: RetrievalError.self) { try await tool.call(["query": "port 7"]) }
        #expect(error?.haltsRun == true && "\(error.map(String.init(describing:)) ?? "")".contains(file.path))
    }

    @Test("a lost index halts a run, and a server that is down does not")
    func halting() {
        #expect(RetrievalError.missing(file: "x").haltsRun && RetrievalError.search("broken").haltsRun)
        #expect(!RetrievalError.service("http://x", reason: "is down").haltsRun)
        #expect(!RetrievalError.crowded(waiting: 3).haltsRun && !RetrievalError.notReady("soon").haltsRun)
    }
}
