/// Carries messages to a server and back.
///
/// Only one task may call `receive`; any number may send.
public protocol MCPTransport: Sendable {
    /// Sends a message, or queues it in a queue of limited length.
    /// - Throws: `MCPError`; the failure of a request may also arrive later as `MCPArrival.broken`.
    func send(_ message: JSONRPCMessage) async throws

    /// Waits for the next arrival.
    /// - Throws: `MCPError` that says how the connection ended; `CancellationError`.
    func receive() async throws -> MCPArrival

    /// Called once after the initialization, with the version that both sides will use.
    func began(version: String) async

    /// Says that nobody waits for the answer to this request any more.
    func forget(_ id: JSONRPCID)

    /// Ends the connection, and the server's process if it was started for it.
    func close() async
}

extension MCPTransport {
    /// Does nothing: most transports are the same for all versions.
    public func began(version: String) async {}
    /// Does nothing: most transports keep no record of requests.
    public func forget(_ id: JSONRPCID) {}
}

/// Something that arrived from a server.
public enum MCPArrival: Sendable, Equatable {
    /// A message.
    case message(JSONRPCMessage)
    /// Text that is not a message; only its beginning.
    case stray(String)
    /// One request that will get no answer.
    case broken(JSONRPCID, MCPError)
}

extension MCPArrival {
    /// The arrivals that a line or a body contains.
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
