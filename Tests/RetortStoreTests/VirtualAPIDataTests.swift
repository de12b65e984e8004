import Foundation
import RetortAgents
import RetortCore
import RetortStore
import Synchronization
import Testing

/// Replies with how often it was asked.
private final class CountingAPIs: VirtualAPIs {
    let count = Mutex(0)

    func reply(to call: VirtualCall) async throws -> VirtualReply {
        let count = count.withLock { count in
            count += 1
            return count
        }
        return call.api == "broken" ? VirtualReply(error: "down") : VirtualReply(response: .integer(count))
    }
}

@Suite("Cache of virtual APIs")
struct ReplyCacheTests {
    private let folder: ScratchFolder

    init() throws { folder = try ScratchFolder() }

    private func call(_ api: String = "find", _ input: JSONValue = ["q": 1]) -> VirtualCall {
        VirtualCall(category: "C", tool: "Tool", api: api, input: input)
    }

    @Test("the same call has the same reply, in another process too; another call has its own; errors are asked again")
    func remembering() async throws {
        let apis = CountingAPIs()
        let file = folder.file("replies.sqlite")
        let cache = try ReplyCache(file) { _ in apis }
        #expect(try await cache.reply(to: call()).response == 1)
        #expect(try await cache.reply(to: call("Find_for_tool", "{\"q\": 1}")).response == 1)
        #expect(try await cache.reply(to: call("find", ["q": 1.0])).response == 2)
        #expect(try await ReplyCache(file) { _ in apis }.reply(to: call()).response == 1)
        for expected in [3, 4] {
            #expect(try await cache.reply(to: call("broken")).error == "down")
            #expect(apis.count.withLock { $0 } == expected)
        }
        #expect(try await cache.count() == 2)
    }

    @Test("calls at once see one world")
    func concurrency() async throws {
        let cache = try ReplyCache(nil) { _ in CountingAPIs() }
        _ = try await withThrowingTaskGroup(of: VirtualReply.self) { group in
            for _ in 0..<20 { group.addTask { try await cache.reply(to: call()) } }
            for try await _ in group {}
        }
        let settled = try await cache.reply(to: call())
        #expect(try await cache.reply(to: call()) == settled)
        #expect(try await cache.count() == 1)
    }

    @Test("a cache folder of StableToolBench is read, its inputs as Python wrote them, and shown as examples")
    func published() async throws {
        let place = folder.url.appendingPathComponent("News_Media/tool_for_News_Media")
        try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
        let text = #"{"{'q': 'it\\'s', 'n': 2, 'all': True}": {"error": "", "response": "published"}}"#
        try Data(text.utf8).write(to: place.appendingPathComponent("find.json"))
        let cache = try ReplyCache(nil, published: folder.url) { examples in
            Looking { try await examples($0).count }
        }
        let known = VirtualCall(
            category: "News, Media", tool: "Tool", api: "find", input: ["q": "it's", "n": 2, "all": true])
        #expect(try await cache.reply(to: known).response == "published")
        let other = VirtualCall(category: "News, Media", tool: "Tool", api: "find", input: [:])
        #expect(try await cache.reply(to: other).error == "1 examples")
    }

    @Test("a name that is a path leads to no file outside the cache folder")
    func outside() async throws {
        let text = Data(#"{"{}": {"error": "", "response": "secret"}}"#.utf8)
        let inner = folder.url.appendingPathComponent("cache")
        // Where '..' and '.' as a category would lead, and a reply within.
        for place in ["", "tool_for_..", "tool", "cache", "cache/tool", "cache/tool_for_.", "cache/C/tool_for_C"] {
            let parent = folder.url.appendingPathComponent(place)
            try FileManager.default.createDirectory(at: parent, withIntermediateDirectories: true)
            try text.write(to: parent.appendingPathComponent("find.json"))
        }
        let cache = try ReplyCache(nil, published: inner) { examples in Looking { try await examples($0).count } }
        for (category, tool) in [
            ("..", "tool"), ("..", ".."), (".", "tool"), ("", "tool"), ("../cache/C", "tool"), ("C", ".."),
            ("C", "../.."),
        ] {
            let call = VirtualCall(category: category, tool: tool, api: "find", input: [:])
            #expect(try await cache.reply(to: call).error == "0 examples", "\(category) \(tool)")
        }
        let within = VirtualCall(category: "C", tool: "tool", api: "find", input: [:])
        #expect(try await cache.reply(to: within).response == "secret")
    }

    /// Tells how many examples it was shown.
    private struct Looking: VirtualAPIs {
        let count: @Sendable (VirtualAPIName) async throws -> Int
        func reply(to call: VirtualCall) async throws -> VirtualReply {
            VirtualReply(error: "\(try await count(VirtualAPIName(call))) examples")
        }
    }
}

@Suite("Queries over virtual APIs")
struct VirtualAPIDataTests {
    private let folder: ScratchFolder

    init() throws { folder = try ScratchFolder() }

    @Test("a query's APIs become tools with schemas, under ToolBench's names")
    func queries() throws {
        let file = try folder.file(
            "G1.json",
            """
            [{"query_id": 7, "query": "Which?", "api_list": [{"category_name": "Media", "tool_name": "My Tool",
              "api_name": "Get All", "api_description": "Gets.", "method": "GET",
              "required_parameters": [{"name": "n", "type": "NUMBER", "description": "how many", "default": ""}],
              "optional_parameters": [{"name": "s", "type": "STRING", "description": "", "default": ""}]}]}, {"query": "?"}]
            """)
        let queries = try ToolBenchQueries(file)
        let task = try #require(queries.tasks.first)
        #expect(task.id == "G1-7")
        #expect(task.tools.map(\.name) == ["get_all_for_my_tool"])
        #expect(task.tools[0].schema?["required"] == ["n"])
        #expect(task.tools[0].schema?["properties"]?["n"]?["type"] == "number")
        #expect(
            task.virtualAPIs["get_all_for_my_tool"]
                == VirtualAPIReference(category: "Media", tool: "My Tool", api: "Get All"))
        #expect(queries.documents[VirtualAPIName(category: "Media", tool: "my_tool", api: "get_all")] != nil)
        #expect(queries.account.rejections.map(\.record) == [2])
    }

    @Test("ToolAlpaca's OpenAPI texts become tools: parameters, bodies, references")
    func toolAlpaca() throws {
        let openAPI: JSONValue = [
            "info": ["description": "Birds."],
            "paths": [
                "/birds/{id}": [
                    "get": [
                        "operationId": "getBird", "description": "Gets one.",
                        "parameters": [["name": "id", "in": "path", "required": true, "schema": ["type": "integer"]]],
                    ],
                    "put": [
                        "requestBody": [
                            "content": ["application/json": ["schema": ["$ref": "#/components/schemas/Bird"]]]
                        ]
                    ],
                ]
            ],
            "components": [
                "schemas": [
                    "Bird": ["type": "object", "properties": ["name": ["type": "string"]], "required": ["name"]]
                ]
            ],
        ]
        let record: JSONValue = [
            "Name": "Bird API", "Category": "Animals", "Documentation": .string(openAPI.jsonText),
            "Instructions": "['Show bird 1.', \"It's which?\"]",
            "Golden_Answers": "[[{'Action': 'getBird', 'Action_Input': '{\"id\": 1}'}]]",
        ]
        let alpaca = try ToolAlpacaFile(try folder.file("a.json", ([record, ["Name": "x"]] as JSONValue).jsonText))
        #expect(alpaca.tasks.map(\.question) == ["Show bird 1.", "It's which?"])
        #expect(alpaca.tasks[0].tools.map(\.name) == ["getBird", "put_birds_id"])
        #expect(alpaca.tasks[0].tools[0].schema?["required"] == ["id"])
        #expect(alpaca.tasks[0].tools[1].schema?["properties"]?["name"]?["type"] == "string")
        #expect(alpaca.tasks[0].metadata["golden"]?.array?.first?["Action"] == "getBird")
        #expect(alpaca.documents.count == 2)
        #expect(alpaca.account.rejections.map(\.record) == [2])
    }
}
