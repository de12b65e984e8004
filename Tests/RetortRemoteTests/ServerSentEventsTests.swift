import Foundation
import Testing

@testable import RetortRemote

@Suite("Server-sent events")
struct ServerSentEventsTests {
    @Test("events come whole, however the bytes are cut", arguments: [1, 2, 3, 7, 1000])
    func anyCut(size: Int) throws {
        let bytes = Array(
            "\u{FEFF}: hello\r\ndata: {\"a\":\r\ndata: \"é\"}\r\n\r\nevent: x\ndata:two\n\ndata: [DONE]\n\ndata: cut"
                .utf8)
        var reader = ServerSentEvents()
        var events: [Data] = []
        for start in stride(from: 0, to: bytes.count, by: size) {
            events += try reader.add(bytes[start..<min(start + size, bytes.count)])
        }
        #expect(events.map { String(decoding: $0, as: UTF8.self) } == ["{\"a\":\n\"é\"}", "two", "[DONE]"])
    }
}
