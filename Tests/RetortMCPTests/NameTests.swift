import RetortCore
import Testing

@testable import RetortMCP

@Suite("MCP names and schemas")
struct NameTests {
    @Test("names become Python's where they are not, each its own, and fine ones stay")
    func names() {
        #expect(
            PythonNames.names(for: ["get-time", "get_time", "get.time", "from", "2d", "", "é", "ok"])
                == ["get_time_2", "get_time", "get_time_3", "from_", "_2d", "_", "__2", "ok"])
    }

    private func parameters(_ schema: JSONValue) throws -> [String] {
        try MCPParameters(schema) { .unusableTool(server: "s", tool: "t", reason: $0) }.parameters.map {
            "\($0.name) \($0.type)\($0.isRequired ? "" : "?")"
        }
    }

    @Test("types are read through unions, references and constants")
    func types() throws {
        let schema: JSONValue = [
            "type": "object", "required": ["b"], "$defs": ["Size": ["enum": ["S", "M"]]],
            "properties": [
                "a": ["anyOf": [["type": "string"], ["type": "null"]]], "b": ["$ref": "#/$defs/Size"],
                "c": ["type": ["integer", "null"]], "d": ["anyOf": [["type": "string"], ["type": "integer"]]], "e": [:],
                "f": ["const": 2.5],
            ],
        ]
        #expect(try parameters(schema) == ["b string", "a string?", "c integer?", "d any?", "e any?", "f number?"])
    }

    @Test("what has no form as a function's head is refused")
    func refusals() {
        for schema in [["type": "array"], ["type": "object", "anyOf": [["required": ["a"]], ["required": ["b"]]]]]
            as [JSONValue]
        {
            #expect(throws: MCPError.self) { try parameters(schema) }
        }
    }

    @Test(
        "what is no message of JSON-RPC says why",
        arguments: [
            ("[]", "empty batch"), ("{", "not valid JSON"), (#"[{"id":1}]"#, "2.0"),
            (#"{"jsonrpc":"2.0","id":1,"result":1,"error":{}}"#, "a result and an error"),
            (#"{"jsonrpc":"2.0","id":null,"method":"x"}"#, "neither a text nor a number"),
            (#"{"jsonrpc":"2.0","id":1,"method":"x","params":[1]}"#, "params are no object"),
            (#"{"jsonrpc":"2.0","result":{}}"#, "without an id"), (#"{"jsonrpc":"2.0","id":1}"#, "no method"),
        ])
    func faults(text: String, reason: String) throws {
        do {
            let fault = try #require(
                try JSONRPCMessage.messages(of: text.utf8).compactMap { result -> JSONRPCFault? in
                    if case .failure(let fault) = result { fault } else { nil }
                }.first)
            #expect(fault.reason.contains(reason))
        } catch let fault as JSONRPCFault {
            #expect(fault.reason.contains(reason))
        }
    }
}
