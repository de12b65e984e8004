/// Carries messages to a server and back.
///
/// One reader calls `receive`; anyone may send.
public protocol MCPTransport: Sendable {
    /// Sends a message, or queues it where the queue has a bound.
    /// - Throws: `MCPError`; for a request, an error may also arrive later as `MCPArrival.broken`.
    func send(_ message: JSONRPCMessage) async throws

    /// The next thing that came.
    /// - Throws: `MCPError` that tells how the connection ended; `CancellationError`.
    func receive() async throws -> MCPArrival

    /// Both sides have introduced themselves and speak this version.
    func began(version: String) async

    /// Nobody waits for the answer of this request any more.
    func forget(_ id: JSONRPCID)

    /// Ends the connection, and the server where it was started for it.
    func close() async
}

extension MCPTransport {
    /// Nothing to do.
    public func began(version: String) async {}
    /// Nothing to do.
    public func forget(_ id: JSONRPCID) {}
}

/// What comes from a server.
public enum MCPArrival: Sendable, Equatable {
    /// A message.
    case message(JSONRPCMessage)
    /// Something that is no message: the beginning of its text.
    case stray(String)
    /// One request will get no answer.
    case broken(JSONRPCID, MCPError)
}

extension MCPArrival {
    /// What a line or a body holds.
    static func arrivals(of bytes: [UInt8]) -> [MCPArrival] {
        do throws(JSONRPCFault) {
            return try JSONRPCMessage.messages(of: bytes).map { result in
                switch result {
                case .success(let message): .message(message)
                case .failure(let fault): .stray("\(excerpt(bytes)) (\(fault))")
                }
            }
        } catch {
            return [.stray(excerpt(bytes))]
        }
    }

    /// The beginning of a text, on one line.
    static func excerpt(_ bytes: some Collection<UInt8>) -> String {
        let longest = 200
        let text = String(decoding: bytes.prefix(longest), as: UTF8.self)
        let clean = String(text.map { $0.isNewline || $0.asciiValue.map { $0 < 0x20 } ?? false ? " " : $0 })
        return "'\(clean)\(bytes.count > longest ? "…" : "")'"
    }
}
