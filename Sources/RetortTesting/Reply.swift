import NIOCore
import NIOHTTP1
import RetortCore

/// Writes answers in the protocol's two forms, whole and streamed, and what goes wrong with them.
struct Reply {
    private let channel: any Channel
    /// Seconds before each piece of a body; nil sends it at once.
    private var pause: Double?
    /// Into how many pieces a slow body is cut.
    private static let pieces = 8

    init(_ channel: any Channel) { self.channel = channel }

    func whole(_ status: Int, _ json: String, headers extra: [(String, String)] = []) {
        var headers: HTTPHeaders = ["content-type": "application/json", "content-length": "\(json.utf8.count)"]
        for (name, value) in extra { headers.add(name: name, value: value) }
        write(status, headers)
        finish(with: json)
    }

    func send(_ answer: CannedAnswer, to request: ReceivedRequest, fault: Fault?, pause: Double) {
        guard fault != .slowBytes else {
            var slow = self
            slow.pause = pause
            return slow.send(answer, to: request, fault: nil, pause: pause)
        }
        let text = String(decoding: request.body, as: UTF8.self)
        let streams = [#""stream":true"#, #""stream": true"#].contains(where: text.contains)
        let isChat = request.path.hasSuffix("/chat/completions")
        var answer = answer
        switch fault {
        case .tooManyRequests:
            return whole(429, Self.error("slow down"), headers: [("retry-after", "0.02")])
        case .serverError: return whole(500, Self.error("the server broke"))
        case .reset: return channel.close(promise: nil)
        case .stall: return
        case .invalidJSON where !streams: return whole(200, #"{"choices":[{"index":0,"mess"#)
        case .wrongCount: answer.choices = Array(answer.choices.dropLast())
        case .halfStream, .invalidJSON, .slowBytes, nil: break
        }
        guard answer.status == 200 else {
            return whole(
                answer.status, Self.error(answer.choices.first ?? ""),
                headers: answer.headers.map { ($0.key, $0.value) })
        }
        if streams {
            stream(answer, isChat: isChat, fault: fault)
        } else if fault == .halfStream {
            write(200, ["content-type": "application/json", "content-length": "1000"])
            channel.writeAndFlush(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(string: "{"))), promise: nil)
            channel.close(promise: nil)
        } else {
            let choices = answer.choices.enumerated().map { index, text in
                let content =
                    isChat
                    ? #""message":{"role":"assistant","content":\#(JSONValue.string(text).jsonText)}"#
                    : #""text":\#(JSONValue.string(text).jsonText)"#
                return #"{"index":\#(index),\#(content),"finish_reason":"\#(answer.finish)"}"#
            }
            whole(200, #"{"choices":[\#(choices.joined(separator: ","))],"usage":\#(Self.usage(answer))}"#)
        }
    }

    private func stream(_ answer: CannedAnswer, isChat: Bool, fault: Fault?) {
        write(200, ["content-type": "text/event-stream"])
        var events: [String] = []
        for (index, text) in answer.choices.enumerated() {
            for part in Self.cut(text, answer.parts) {
                let content =
                    isChat
                    ? #""delta":{"content":\#(JSONValue.string(part).jsonText)}"#
                    : #""text":\#(JSONValue.string(part).jsonText)"#
                events.append(#"{"choices":[{"index":\#(index),\#(content),"finish_reason":null}]}"#)
            }
            let empty = isChat ? #""delta":{}"# : #""text":"""#
            events.append(#"{"choices":[{"index":\#(index),\#(empty),"finish_reason":"\#(answer.finish)"}]}"#)
        }
        if fault == .halfStream { events = Array(events.prefix(events.count / 2)) }
        if fault == .invalidJSON { events.insert(#"{"choices":[{"index":0,"del"#, at: events.count / 2) }
        if fault != .halfStream { events += [#"{"choices":[],"usage":\#(Self.usage(answer))}"#, "[DONE]"] }
        let bytes = events.map { "data: \($0)\n\n" }.joined()
        guard fault == .halfStream else { return finish(with: bytes) }
        channel.writeAndFlush(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(string: bytes))), promise: nil)
        channel.close(promise: nil)
    }

    /// Writes a body whole, or piece by piece, and ends the answer.
    private func finish(with body: String) {
        let bytes = Array(body.utf8)
        guard let pause, !bytes.isEmpty else { return finish(with: bytes[...]) }
        channel.flush()
        let size = max(1, (bytes.count + Self.pieces - 1) / Self.pieces)
        for (number, start) in stride(from: 0, to: bytes.count, by: size).enumerated() {
            let piece = bytes[start..<min(start + size, bytes.count)]
            let isLast = piece.endIndex == bytes.count
            channel.eventLoop.scheduleTask(in: .nanoseconds(Int64(pause * Double(number + 1) * 1e9))) {
                if isLast { finish(with: piece) } else { write(piece, flushes: true) }
            }
        }
    }

    private func finish(with piece: ArraySlice<UInt8>) {
        write(piece, flushes: false)
        channel.writeAndFlush(HTTPServerResponsePart.end(nil), promise: nil)
    }

    private func write(_ piece: ArraySlice<UInt8>, flushes: Bool) {
        channel.write(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(bytes: piece))), promise: nil)
        if flushes { channel.flush() }
    }

    private func write(_ status: Int, _ headers: HTTPHeaders) {
        let head = HTTPResponseHead(version: .http1_1, status: HTTPResponseStatus(statusCode: status), headers: headers)
        channel.write(HTTPServerResponsePart.head(head), promise: nil)
    }

    private static func usage(_ answer: CannedAnswer) -> String {
        #"{"prompt_tokens":\#(answer.promptTokens),"completion_tokens":\#(answer.completionTokens)}"#
    }

    private static func error(_ message: String) -> String {
        #"{"error":{"message":\#(JSONValue.string(message).jsonText),"type":"canned"}}"#
    }

    private static func cut(_ text: String, _ parts: Int) -> [String] {
        let characters = Array(text)
        let size = max(1, (characters.count + parts - 1) / max(parts, 1))
        return stride(from: 0, to: characters.count, by: size).map {
            String(characters[$0..<min($0 + size, characters.count)])
        }
    }
}
