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
}
