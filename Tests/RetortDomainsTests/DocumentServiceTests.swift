import Foundation
import RetortCore
import RetortRetrieval
import ScriptedRetriever
import Testing

@testable import RetortDomains

@Suite("Documents that a server searches")
struct DocumentServiceTests {
    private func folder(_ documents: String) throws -> DomainFolder {
        try DomainFolder([
            "domain.yaml": "tasks: {test: {in: test.jsonl}}\ndocuments: \(documents)\nform: json\n",
            "test.jsonl": "{\"id\": \"1\", \"question\": \"q\", \"answer\": \"a\"}\n",
        ])
    }

    private func open(_ documents: String) async throws -> FolderDomain {
        let folder = try folder(documents)
        defer { folder.remove() }
        return try await folder.open()
    }

    private static let reply =
        #"{"result":[[{"document":{"id":"1","contents":"\"Tirn\"\nA town. It has a port."},"score":0.75}]]}"#

    @Test("an agent's search asks the server, and sees what it found")
    func search() async throws {
        let server = try await ScriptedRetriever { headers, _ in
            headers["x-key"] == "open" ? .answer(200, Self.reply) : .answer(401, "{}")
        }
        let domain = try await open(
            "{service: '\(server.address)', headers: {X-Key: open}, results: 2, tool: look, characters: 40, seconds: 600}"
        )
        let seen = try await domain.session().call("look", ["query": "a port"])
        #expect(seen.outcome == .success && seen.text == "[1] Tirn\nA town. It has a port.")
        #expect(server.requests.first.map { $0.contains(#""topk":2"#) && $0.contains("a port") } == true)
        let content = try domain.content(of: .tools) { _ in "" }
        #expect(content.contains { $0.name == "documents.service" && $0.value == server.address })
        #expect(domain.documents == nil)
        try await server.close()
    }

    @Test("when the server is down, slow or lies, the agent sees an error, and may go on")
    func failures() async throws {
        let lying = try await ScriptedRetriever { _, _ in .answer(200, #"{"result": "no"}"#) }
        let silent = try await ScriptedRetriever { _, _ in .silent }
        for (address, words) in [
            (lying.address, "result"), (silent.address, "0.2 s"), ("http://127.0.0.1:1", "cannot be reached"),
        ] {
            let domain = try await open("{service: '\(address)', seconds: \(address == silent.address ? 0.2 : 600)}")
            let session = try await domain.session()
            for _ in 0..<2 {
                let seen = try await session.call("web_search", ["query": "q"])
                #expect(seen.outcome != .success && seen.text.contains(words), "\(seen.text)")
            }
        }
        try await lying.close()
        try await silent.close()
    }

    @Test("several servers are asked at once")
    func several() async throws {
        let first = try await ScriptedRetriever { _, _ in .answer(200, Self.reply) }
        let second = try await ScriptedRetriever { _, _ in
            .answer(200, #"{"result":[[{"document":{"id":"2","contents":"Vane\nA painter."},"score":0.9}]]}"#)
        }
        let domain = try await open("{service: ['\(first.address)', '\(second.address)/retrieve'], seconds: 600}")
        let seen = try await domain.session().call("web_search", ["query": "q"])
        #expect(seen.text == "[1] Vane\nA painter.\n[2] Tirn\nA town. It has a port.")
        try await first.close()
        try await second.close()
    }

    @Test(
        "what cannot be meant is refused",
        arguments: [
            ("{service: 'http://x', path: notes}", "not both"), ("{service: nowhere}", "no address"),
            ("{service: []}", "no address"), ("{service: 'http://x', encoder: t}", "the server's own"),
            ("{service: 'http://x', search: dense}", "the server's own"), ("{path: x, headers: {a: b}}", "'service'"),
            ("{path: x, seconds: 3}", "'service'"), ("{service: 'http://x', seconds: 0}", "seconds"),
            ("{service: 'http://x', timeout: 3}", "timeout"), ("{results: 3}", "path"),
        ])
    func refusals(documents: String, words: String) throws {
        let folder = try folder(documents)
        defer { folder.remove() }
        let error = #expect(throws: RecipeError.self) { try DomainPlan(folder.url) }
        #expect(error.map { "\($0)".contains(words) } == true, "\(String(describing: error))")
    }

    @Test("a variable that is not set is named")
    func variables() async throws {
        await #expect(throws: DomainError.noVariable("RETORT_TEST_UNSET", server: "http://x")) {
            try await self.open("{service: 'http://x', headers: {Authorization: 'Bearer ${RETORT_TEST_UNSET}'}}")
        }
    }
}
