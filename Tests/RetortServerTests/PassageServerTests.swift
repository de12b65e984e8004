import AsyncHTTPClient
import Foundation
import Logging
import NIOCore
import RetortCore
import RetortRetrieval
import RetortServer
import ServiceLifecycle
import Synchronization
import Testing

/// Finds passages of the query's name, and counts what it is asked.
private final class EchoSearch: PassageSearch {
    private let asked = Mutex<[[String]]>([])

    var calls: [[String]] { asked.withLock { $0 } }

    func search(_ query: String, limit: Int) async throws -> [RetrievedPassage] {
        try await search(all: [query], limit: limit)[0]
    }

    func search(all queries: [String], limit: Int) async throws -> [[RetrievedPassage]] {
        asked.withLock { $0.append(queries) }
        if queries.contains("slow") { try await Task.sleep(for: .seconds(600)) }
        if queries.contains("broken") { throw RetrievalError.search("the index is damaged") }
        if queries.contains("lost") { throw RetrievalError.service("http://other", reason: "answered 500: ") }
        let index = try PassageIndex(
            passages: (0..<20).map { (id: "p\($0)", contents: "Title\($0)\nword passage number \($0)") })
        return try await index.search(all: queries.map { _ in "word" }, limit: limit)
    }
}

@Suite("Retrieval server")
struct PassageServerTests {
    /// Runs a server on a free port for as long as `body` lasts.
    private func serving(
        _ search: any PassageSearch = EchoSearch(), _ change: (inout PassageServerOptions) -> Void = { _ in },
        preparing: @escaping @Sendable () -> String? = { nil }, quotesTitles: Bool = false,
        _ body: (String) async throws -> Void
    ) async throws {
        var options = PassageServerOptions()
        (options.port, options.requestSeconds) = (0, 600)
        change(&options)
        let (ports, continuation) = AsyncStream<Int>.makeStream()
        let server = PassageServer(
            search, options: options, logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
            preparing: preparing, quotesTitles: { quotesTitles }, onStart: { continuation.yield($0) })
        let work = Task {
            defer { continuation.finish() }
            try await server.run()
        }
        defer { work.cancel() }
        var iterator = ports.makeAsyncIterator()
        let port = try #require(await iterator.next())
        try await body("http://127.0.0.1:\(port)")
    }

    private func post(
        _ address: String, _ body: String, headers: [String: String] = [:], path: String = "/retrieve"
    ) async throws -> (status: UInt, reply: JSONValue, text: String) {
        var request = HTTPClientRequest(url: address + path)
        request.method = .POST
        request.headers = ["Content-Type": "application/json"]
        for (name, value) in headers { request.headers.replaceOrAdd(name: name, value: value) }
        request.body = .bytes(ByteBuffer(string: body))
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(120))
        let text = String(buffer: try await response.body.collect(upTo: 64 << 20))
        return (response.status.code, (try? ExactJSON.value(of: text)) ?? .null, text)
    }

    @Test("with scores each passage is a document and its score, without them the documents themselves")
    func forms() async throws {
        try await serving { address in
            let scored = try await post(address, #"{"queries":["a","b"],"topk":2,"return_scores":true}"#)
            let lists = try #require(scored.reply["result"]?.array)
            #expect(scored.status == 200 && lists.count == 2 && lists[0] == lists[1])
            let first = try #require(lists[0].array?.first)
            #expect(first.object?.keys.sorted() == ["document", "score"])
            #expect(
                first["document"] == [
                    "id": "p0", "title": "Title0", "text": "word passage number 0",
                    "contents": "Title0\nword passage number 0",
                ])
            guard case .number(let score)? = first["score"] else { return #expect(Bool(false), "no number") }
            #expect(score > 0)
            for body in [
                #"{"queries":["a"]}"#, #"{"queries":["a"],"topk":null,"return_scores":false}"#,
                #"{"queries":["a"],"topk":0,"return_scores":null}"#,
            ] {
                let plain = try await post(address, body)
                #expect(plain.reply["result"]?.array?[0].array?.count == 3)
                #expect(plain.reply["result"]?.array?[0].array?[0]["contents"] == "Title0\nword passage number 0")
            }
            #expect(try await post(address, #"{"queries":[]}"#).reply == ["result": []])
        }
        try await serving(quotesTitles: true) { address in
            let reply = try await post(address, #"{"queries":["a"],"topk":1}"#).reply
            #expect(reply["result"]?.array?[0].array?[0]["contents"] == "\"Title0\"\nword passage number 0")
            #expect(reply["result"]?.array?[0].array?[0]["title"] == "Title0")
        }
    }

    @Test("our client and our server understand each other")
    func roundTrip() async throws {
        let index = try PassageIndex(passages: [
            (id: "1", contents: "\"Tirn\"\nA town, 40,200 people.\nIt has a port."),
            (id: "2", contents: "Vane\nA painter."),
        ])
        try await serving(index) { address in
            let service = try PassageService(address, seconds: 600)
            for query in ["town", "painter of Tirn", "🧪", "nothing \u{0} at \"all\""] {
                let (here, there) = (try await index.search(query, limit: 2), try await service.search(query, limit: 2))
                #expect(here == there)
            }
        }
    }

    @Test("a batch is searched for together, and what was asked before is remembered")
    func batches() async throws {
        let search = EchoSearch()
        try await serving(search) { address in
            let queries = (0..<300).map { "q\($0)" }
            let body = ExactJSON.text(["queries": .array(queries.map(JSONValue.string)), "topk": 1])
            #expect(try await post(address, body).reply["result"]?.array?.count == 300)
            #expect(search.calls.map(\.count) == [256, 44])
            #expect(try await post(address, body).status == 200)
            #expect(search.calls.count == 2)
            #expect(try await post(address, #"{"queries":["q1"],"topk":2}"#).status == 200)
            #expect(search.calls.count == 3)
            let metrics = try await metrics(address)
            #expect(metrics.contains("retort_queries_total 601"))
            #expect(metrics.contains("retort_queries_remembered_total 300.0"))
            #expect(metrics.contains("retort_search_largest_pass 256.0"))
            #expect(metrics.contains(#"retort_requests_total{route="/retrieve",status="200"} 3"#))
        }
    }

    private func metrics(_ address: String) async throws -> String {
        let response = try await HTTPClient.shared.execute(
            HTTPClientRequest(url: "\(address)/metrics"), timeout: .seconds(60))
        return String(buffer: try await response.body.collect(upTo: 1 << 20))
    }

    @Test(
        "what cannot be read is refused with the member's name",
        arguments: [
            ("", "JSON"), ("{", "JSON"), ("[]", "object"), ("{}", "queries"), (#"{"queries":"a"}"#, "queries"),
            (#"{"queries":[1]}"#, "queries[0]"), (#"{"queries":["a",null]}"#, "queries[1]"),
            (#"{"queries":["a"],"topk":-1}"#, "topk"), (#"{"queries":["a"],"topk":1001}"#, "topk"),
            (#"{"queries":["a"],"topk":2.5}"#, "topk"), (#"{"queries":["a"],"topk":"3"}"#, "topk"),
            (#"{"queries":["a"],"return_scores":1}"#, "return_scores"), (#"{"queries":["a"],"top_k":3}"#, "top_k"),
            (#"{"queries":["a","b","c","d","e","f"]}"#, "6 elements"),
            (#"{"queries":[""# + String(repeating: "x", count: 200) + #""]}"#, "queries[0]"),
        ])
    func refusals(body: String, words: String) async throws {
        try await serving(EchoSearch(), { ($0.maximumQueries, $0.maximumBytes) = (5, 100) }) { address in
            let (status, reply, _) = try await post(address, body)
            #expect(status == 422)
            #expect(reply["detail"]?.string?.contains(words) == true, "\(reply)")
        }
    }

    @Test("strangers, long bodies, other paths and other methods are told")
    func strangers() async throws {
        try await serving(EchoSearch(), { ($0.keys, $0.maximumBodyBytes) = (APIKeys(["k"]), 1000) }) { address in
            let body = #"{"queries":["a"]}"#
            #expect(try await post(address, body).status == 401)
            #expect(try await post(address, body, headers: ["Authorization": "Bearer k"]).status == 200)
            let long = try await post(
                address, body + String(repeating: " ", count: 2000), headers: ["Authorization": "Bearer k"])
            #expect(long.status == 413 && long.reply["detail"] != nil)
            let key = ["Authorization": "Bearer k", "Content-Type": "text/plain"]
            #expect(try await post(address, body, headers: key).status == 415)
            let lost = try await post(address, body, headers: ["Authorization": "Bearer k"], path: "/search")
            #expect(lost.status == 404 && lost.reply["detail"]?.string?.contains("/retrieve") == true)
        }
        try await serving { address in
            #expect(try await post(address, #"{"queries":["a"]}"#, headers: ["Host": "evil.example"]).status == 421)
            let response = try await HTTPClient.shared.execute(
                HTTPClientRequest(url: "\(address)/retrieve"), timeout: .seconds(60))
            #expect(response.status.code == 405)
        }
    }

    @Test("a search that fails, is too slow, or one too many is told so, and the server goes on")
    func failures() async throws {
        try await serving { address in
            let broken = try await post(address, #"{"queries":["broken"]}"#)
            #expect(broken.status == 500 && broken.reply["detail"]?.string?.contains("damaged") == true)
            #expect(try await post(address, #"{"queries":["lost"]}"#).status == 502)
            #expect(try await post(address, #"{"queries":["a"]}"#).status == 200)
        }
        try await serving(
            EchoSearch(), { ($0.requestSeconds, $0.maximumRunning, $0.maximumWaiting) = (0.3, 1, 0) }
        ) { address in
            async let slow = post(address, #"{"queries":["slow"]}"#)
            var statuses: Set<UInt> = []
            while !statuses.contains(503), !statuses.contains(504) {
                statuses.insert(try await post(address, #"{"queries":["slow"]}"#).status)
            }
            #expect([503, 504].contains(try await slow.status))
            #expect(statuses.isSubset(of: [503, 504]))
            // On a machine that is busy, this may be late as well.
            while try await post(address, #"{"queries":["a"]}"#).status != 200 {}
        }
    }

    @Test("servers before others: the front asks all and joins their lists")
    func front() async throws {
        func index(_ ids: [String]) throws -> PassageIndex {
            try PassageIndex(passages: ids.map { (id: $0, contents: "T\($0)\nword \($0) of the part") })
        }
        try await serving(index(["a", "b"])) { first in
            try await serving(index(["c", "d"])) { second in
                let parts = try [first, second].map { try PassageService($0, seconds: 600) }
                try await serving(MergedSearch(parts)) { front in
                    let found = try await PassageService(front, seconds: 600).search("word", limit: 4)
                    #expect(Set(found.map(\.id)) == ["a", "b", "c", "d"])
                }
            }
        }
    }

    @Test("while an index is being made the server refuses, or finds what is there and remembers none of it")
    func growing() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("retort-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let (corpus, file) = (folder.appendingPathComponent("c.jsonl"), folder.appendingPathComponent("c.sqlite"))
        let lines = (0..<12_000).map { "{\"id\":\($0),\"contents\":\"T\($0)\\nword\($0) common\"}\n" }
        try Data(lines.joined().utf8).write(to: corpus)
        for manner in [GrowingSearch.Manner.refuses, .searchesWhatIsThere] {
            let search = GrowingSearch(manner)
            try await serving(search, preparing: { search.progress }) { address in
                let (steps, continuation) = AsyncStream<Void>.makeStream()
                // The building waits at each step until it is let on.
                let gate = DispatchSemaphore(value: 0)
                @Sendable func build() throws {
                    search.note(.begun(index: file))
                    try PassageIndex.buildIfNeeded(from: [corpus], to: file) { progress in
                        search.note(.words(progress))
                        guard progress == .words5000 else { return }
                        continuation.yield()
                        gate.wait()
                    }
                    search.set(try PassageIndex(file))
                }
                // On a thread of its own: tasks have two on a small machine.
                async let building: Void = withCheckedThrowingContinuation { done in
                    DispatchQueue.global().async { done.resume(with: Result(catching: build)) }
                }
                for await _ in steps { break }
                let first = try await post(address, #"{"queries":["word4321"]}"#)
                let later = try await post(address, #"{"queries":["word11999"]}"#)
                if manner == .refuses {
                    #expect(first.status == 503 && first.reply["detail"]?.string?.contains("5000 passages") == true)
                } else {
                    #expect(first.reply["result"]?.array?[0].array?[0]["id"] == "4321")
                    #expect(later.status == 200 && later.reply["result"]?.array?[0].array?.isEmpty == true)
                }
                gate.signal()
                try await building
                let last = try await post(address, #"{"queries":["word11999"]}"#)
                #expect(last.reply["result"]?.array?[0].array?[0]["id"] == "11999")
            }
            try FileManager.default.removeItem(at: file)
        }
    }
}

extension PassageIndex.Progress {
    fileprivate static let words5000 = PassageIndex.Progress.read(5000)
}
