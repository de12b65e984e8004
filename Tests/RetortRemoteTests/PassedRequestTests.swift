import Foundation
import NIOCore
import RetortCore
import Testing

@testable import RetortRemote

@Suite("Requests that are passed on")
struct PassedRequestTests {
    private func request(_ text: String, _ operation: PassedRequest.Operation = .chatCompletions) throws
        -> PassedRequest
    {
        try #require(PassedRequest(operation, JSONTree.parse(Array(text.utf8))))
    }

    private func home(_ text: String) throws -> PrefixHome { try #require(try request(text).home) }

    @Test("only the model's name changes: numbers, order and unknown members stay as they are")
    func body() throws {
        let text = #"{"z":1.50,"model":"big","seed":18446744073709551615,"messages":[],"é":"\u0041"}"#
        let sent = String(decoding: try request(text).body(model: "own \"name\""), as: UTF8.self)
        #expect(
            sent == #"{"z": 1.50, "model": "own \"name\"", "seed": 18446744073709551615, "messages": [], "é": "A"}"#)
        #expect(PassedRequest(.completions, .array([])) == nil)
        #expect(PassedRequest(.completions, .object([])) == nil)
    }

    @Test("later steps, samples and marks of caching leave a conversation where it is")
    func same() throws {
        let first = try home(
            #"{"model":"m","tools":[{"t":1}],"messages":[{"role":"system","content":"s"},{"role":"user","content":"q"}]}"#
        )
        for other in [
            #"{"model":"m","n":4,"seed":3,"tools":[{"t":1}],"messages":[{"role":"system","content":"s"},{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}"#,
            #"{"model":"m","tools":[{"t":1}],"messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"q","cache_control":{"type":"ephemeral"}}]}]}"#,
        ] { #expect(try home(other) == first) }
        let prompt = String(repeating: "p", count: 600)
        #expect(
            try home(#"{"model":"m","prompt":"\#(prompt)"}"#) == home(#"{"model":"m","prompt":"\#(prompt) more"}"#))
    }

    @Test(
        "another model, system text, tool or question is another conversation",
        arguments: [
            #"{"model":"n","system":"s","tools":[{"t":1}],"messages":[{"role":"user","content":"q"}]}"#,
            #"{"model":"m","system":"r","tools":[{"t":1}],"messages":[{"role":"user","content":"q"}]}"#,
            #"{"model":"m","system":"s","tools":[{"t":2}],"messages":[{"role":"user","content":"q"}]}"#,
            #"{"model":"m","system":"s","tools":[{"t":1}],"messages":[{"role":"user","content":"p"}]}"#,
            #"{"model":"m","prompt":"q"}"#, #"{"model":"m","prompt":[1,2,3]}"#, #"{"model":"m","prompt":["r","q"]}"#,
        ])
    func other(text: String) throws {
        let known = #"{"model":"m","system":"s","tools":[{"t":1}],"messages":[{"role":"user","content":"q"}]}"#
        #expect(try home(text) != home(known))
    }

    @Test("a body without messages or prompt has no beginning, and odd ones do no harm")
    func odd() throws {
        #expect(try request(#"{"model":"m"}"#).home == nil)
        for text in [
            #"{"model":"m","messages":[]}"#, #"{"model":"m","messages":[3,null]}"#, #"{"model":"m","prompt":[]}"#,
        ] {
            #expect(try request(text).home != nil)
        }
    }

    @Test("streams are cut at blank lines, however they come", arguments: ["\n\n", "\r\n\r\n", "\r\r"])
    func events(blank: String) {
        let text = "data: 1\(blank)event: e\ndata: 2\(blank)data: half"
        for size in 1...text.utf8.count {
            var events = WholeEvents()
            var passed = ""
            let bytes = Array(text.utf8)
            for start in stride(from: 0, to: bytes.count, by: size) {
                let piece = ByteBuffer(bytes: bytes[start..<min(start + size, bytes.count)])
                if let whole = events.add(piece) {
                    passed += String(buffer: whole)
                    #expect(passed.utf8.elementsEqual(text.utf8.prefix(passed.utf8.count)))
                }
            }
            #expect(passed == "data: 1\(blank)event: e\ndata: 2\(blank)")
            #expect(events.rest.map { String(buffer: $0) } == "data: half")
        }
    }

    @Test("an empty list, an address given twice and a key sent in the clear are refused")
    func configuration() throws {
        #expect(throws: RemoteError.self) { try Replicas("m", []) }
        let endpoint = try Endpoint("http://127.0.0.1:1", model: "m")
        #expect(throws: RemoteError.self) { try Replicas("m", [endpoint, endpoint]) }
    }
}
