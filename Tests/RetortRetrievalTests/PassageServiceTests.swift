import Foundation
import RetortCore
import ScriptedRetriever
import Testing

@testable import RetortRetrieval

@Suite("Search by a server of Search-R1's protocol")
struct PassageServiceTests {
    /// Answers each query with passages of its name.
    private static func echo(_ body: String) -> ScriptedRetriever.Behaviour {
        guard let request = try? ExactJSON.value(of: body), let queries = request["queries"]?.array,
            case .integer(let count)? = request["topk"], request["return_scores"] == true
        else { return .answer(422, #"{"detail":"not understood"}"#) }
        let lists = queries.map { query in
            JSONValue.array(
                (0..<count).map { rank in
                    [
                        "document": [
                            "id": .integer(rank), "contents": .string("\"\(query.text)\"\nPassage \(rank)\nof it."),
                        ], "score": .number(1 - Double(rank) / 10),
                    ]
                })
        }
        return .answer(200, ExactJSON.text(["result": .array(lists)]))
    }

    private func with(
        _ behave: @escaping @Sendable (String) -> ScriptedRetriever.Behaviour, seconds: Double = 600,
        _ body: (ScriptedRetriever, PassageService) async throws -> Void
    ) async throws {
        let server = try await ScriptedRetriever { _, text in behave(text) }
        let service = try PassageService(server.address, seconds: seconds)
        do { try await body(server, service) } catch {
            try await server.close()
            throw error
        }
        try await server.close()
    }

    @Test("passages come as the server ranks them, titles without quotation marks, queries of all lengths")
    func search() async throws {
        try await with(Self.echo) { _, service in
            let found = try await service.search("ä \"quoted\" query\n", limit: 2)
            #expect(found.map(\.id) == ["0", "1"] && found[0].title == "ä \"quoted\" query")
            #expect(found[1].text == "of it." || found[1].text.hasSuffix("of it."))
            #expect(found.map(\.score) == [1, 0.9])
            #expect(try await service.search("  ", limit: 2).isEmpty)
            #expect(try await service.search("x", limit: 0).isEmpty)
            #expect(
                try await service.search(all: ["a", "", "b"], limit: 1).map { $0.map(\.title) } == [["a"], [], ["b"]])
        }
    }

    @Test("what is asked at once goes in few requests")
    func joined() async throws {
        try await with(Self.echo) { server, service in
            let titles = try await withThrowingTaskGroup(of: (Int, String?).self) { group in
                for number in 0..<60 {
                    group.addTask { (number, try await service.search("q\(number)", limit: 1).first?.title) }
                }
                return try await group.reduce(into: [Int: String?]()) { $0[$1.0] = $1.1 }
            }
            #expect((0..<60).allSatisfy { titles[$0] == "q\($0)" })
            #expect(server.requests.count < 40)
        }
    }

    @Test(
        "documents of every server of the protocol are read",
        arguments: [
            (#"{"result":[[{"document":{"id":"7","contents":"\"T\"\nx"},"score":2}]]}"#, "7", "T", "x"),
            (#"{"result":[[{"id":7,"contents":"T\nx"}]]}"#, "7", "T", "x"),
            (
                #"{"result":[[{"document":{"title":"T","text":"x","contents":"T\nx"},"score":null}]],"more":1}"#, nil,
                "T", "x"
            ),
            (
                #"{"result":[[{"document":{"id":"a","title":"T","text":"x"},"score":0.5},{"document":5}]]}"#, "a", "T",
                "x"
            ),
            (#"{"result":[[{"document":{"id":"a","contents":""},"score":1}]]}"#, "a", "", ""),
        ])
    func forms(reply: String, id: String?, title: String, text: String) async throws {
        try await with({ _ in .answer(200, reply) }) { _, service in
            let found = try await service.search("q", limit: 1)
            #expect(found.count == 1 && found[0].title == title && found[0].text == text)
            #expect(id == nil ? found[0].id.hasPrefix("text:") : found[0].id == id)
        }
    }

    @Test(
        "a server that lies is told by what it answered",
        arguments: [
            "", "{", "[]", "null", #"{"result":null}"#, #"{"result":[]}"#, #"{"result":[[],[]]}"#, #"{"result":[5]}"#,
            #"{"result":[["text"]]}"#, #"{"result":[[{"document":{"id":"1"}}]]}"#,
            #"{"result":[[{"document":{"contents":5}}]]}"#,
            #"{"result":[[{"document":{"contents":"x"},"score":"high"}]]}"#,
            #"{"result":[[{"document":{"contents":"x"},"score":1e999}]]}"#, "<html>", "{\"result\":[[\"\u{0}\"]]}",
            String(repeating: "[", count: 100_000),
            #"{"result":"# + String(repeating: "[", count: 5000) + String(repeating: "]", count: 5000) + "}",
        ])
    func lies(reply: String) async throws {
        try await with({ _ in .answer(200, reply) }) { server, service in
            let error = await #expect(throws: RetrievalError.self) { try await service.search("q", limit: 3) }
            let words = "\(try #require(error))"
            #expect(words.contains(server.address) && words.count < 600)
        }
    }

    @Test("a server that is slow, silent, cut short or without end makes the search fail in time")
    func bad() async throws {
        for behaviour in [ScriptedRetriever.Behaviour.silent, .late(seconds: 60, 200, "{}"), .unfinished("{")] {
            try await with({ _ in behaviour }, seconds: 0.3) { _, service in
                let error = await #expect(throws: RetrievalError.self) { try await service.search("q", limit: 3) }
                #expect(error.map { "\($0)".contains("0.3 s") } == true)
            }
        }
        for behaviour in [ScriptedRetriever.Behaviour.endless, .close] {
            try await with({ _ in behaviour }) { _, service in
                await #expect(throws: RetrievalError.self) { try await service.search("q", limit: 3) }
            }
        }
    }

    @Test("a status that may pass is tried again, others are told with the server's words")
    func statuses() async throws {
        let server = try await ScriptedRetriever { _, body in
            body.contains("again") ? .answer(503, "{}") : .answer(422, #"{"detail":[{"msg":"field required"}]}"#)
        }
        let service = try PassageService(server.address, seconds: 600)
        await #expect(throws: RetrievalError.self) { try await service.search("again", limit: 1) }
        #expect(server.requests.count == 3)
        let error = await #expect(throws: RetrievalError.self) { try await service.search("no", limit: 1) }
        let words = error.map { "\($0)" } ?? ""
        #expect(words.contains("422") && words.contains("field required"))
        try await server.close()
    }

    @Test("one query that a server fails on spoils no other's answer")
    func poison() async throws {
        try await with({ body in body.contains("poison") ? .answer(500, "Internal Server Error") : Self.echo(body) }) {
            _, service in
            let results = await withTaskGroup(of: (String, Bool).self) { group in
                for query in (0..<20).map({ "q\($0)" }) + ["poison"] {
                    group.addTask { (query, (try? await service.search(query, limit: 1))?.first?.title == query) }
                }
                return await group.reduce(into: [String: Bool]()) { $0[$1.0] = $1.1 }
            }
            #expect(results.filter { !$0.value }.keys.sorted() == ["poison"])
        }
    }

    @Test("headers go along, and no server leads to another")
    func headers() async throws {
        let other = try await ScriptedRetriever { _, body in Self.echo(body) }
        let server = try await ScriptedRetriever { headers, body in
            headers["authorization"] == "Bearer k" ? Self.echo(body) : .redirect(other.address)
        }
        let trusted = try PassageService(
            "\(server.address)/retrieve/", headers: ["Authorization": "Bearer k"], seconds: 600)
        #expect(try await trusted.search("q", limit: 1).count == 1)
        let stranger = try PassageService(server.address, seconds: 600)
        await #expect(throws: RetrievalError.self) { try await stranger.search("q", limit: 1) }
        #expect(other.requests.isEmpty)
        try await server.close()
        try await other.close()
        await #expect(throws: RetrievalError.self) { try await trusted.search("q", limit: 1) }
    }

    @Test(
        "what is no address is refused",
        arguments: ["", "nowhere", "ftp://x", "http://", "file:///etc/passwd", "http:/x"])
    func addresses(text: String) {
        #expect(throws: RetrievalError.address(text)) { try PassageService(text) }
    }

    @Test("a search that is cancelled ends at once, and leaves nothing that waits")
    func cancelled() async throws {
        try await with({ _ in .silent }, seconds: 600) { server, service in
            let task = Task { try await service.search("q", limit: 1) }
            for _ in 0..<2000 where server.requests.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
        }
    }

    private struct Listed: PassageSearch {
        let lists: [String: [(String, Double)]]
        func search(_ query: String, limit: Int) async throws -> [RetrievedPassage] {
            (lists[query] ?? []).prefix(limit).map { RetrievedPassage(id: $0.0, title: "", text: "", score: $0.1) }
        }
    }

    @Test(
        "parts of one collection are asked at once; their lists are one by scores, and a part that fails makes it fail")
    func merged() async throws {
        let parts: [any PassageSearch] = [
            Listed(lists: ["q": [("a", 3), ("b", 1)], "r": []]),
            Listed(lists: ["q": [("c", 2), ("d", 1), ("a", 0.5)], "r": [("e", 1)]]),
        ]
        let search = MergedSearch(parts)
        #expect(try await search.search("q", limit: 4).map(\.id) == ["a", "c", "b", "d"])
        #expect(try await search.search(all: ["r", "q"], limit: 2).map { $0.map(\.id) } == [["e"], ["a", "c"]])
        #expect(try await search.search("q", limit: 0).isEmpty)
        try await with({ _ in .answer(500, "") }) { _, service in
            await #expect(throws: RetrievalError.self) {
                try await MergedSearch(parts + [service]).search("q", limit: 2)
            }
        }
    }
}
