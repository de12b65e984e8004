import RetortCore
import Testing

@Suite("Functions as tools")
struct FunctionToolTests {
    private struct Order: Codable, Equatable {
        enum Size: String, Codable { case small, large }
        var article: String
        var pieces: Int?
        var size: Size?
    }

    private struct Empty: Error, CustomStringConvertible { let description = "the shelf is empty" }

    private let order = FunctionTool(
        "order", "Orders.",
        parameters: [
            .init("article", type: "string", summary: ""),
            .init("pieces", type: "integer", summary: "", isRequired: false),
            .init("size", type: "string", summary: "", isRequired: false),
        ]
    ) { (order: Order) in
        if order.article == "none" { throw Empty() }
        return order
    }

    @Test("arguments become the function's own type, and its result becomes JSON")
    func call() async throws {
        // snippet: A function as a tool
        struct Sum: Decodable { var a: Int; var b: Int }
        let add = FunctionTool(
            "add", "Adds two whole numbers.",
            parameters: [
                .init("a", type: "integer", summary: "the first"), .init("b", type: "integer", summary: "the second"),
            ]
        ) { (sum: Sum) in sum.a + sum.b }
        #expect(try await add.call(["a": 2, "b": 3]) == 5)
        // end snippet
        #expect(try await order.call(["article": "lamp", "pieces": 3]) == ["article": "lamp", "pieces": 3])
        #expect(try await order.call(["article": "lamp", "pieces": .null]) == ["article": "lamp"])
    }

    @Test("arguments of another type are refused by their name, and what the function throws passes through")
    func refusals() async throws {
        let wrong = await #expect(throws: ToolError.self) {
            try await order.call(["article": "lamp", "size": "huge"])
        }
        #expect("\(wrong as Any)".contains("'size'"))
        let missing = await #expect(throws: ToolError.self) { try await order.call(["pieces": 1]) }
        #expect("\(missing as Any)".contains("'article'"))
        await #expect(throws: Empty.self) { try await order.call(["article": "none"]) }
    }
}
