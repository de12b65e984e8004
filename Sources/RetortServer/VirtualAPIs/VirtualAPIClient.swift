import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import RetortAgents
import RetortCore

/// Calls APIs by StableToolBench's protocol: a server of ours or of theirs.
public struct VirtualAPIClient: VirtualAPIs {
    private let address: String
    private let key: String
    private let seconds: Double
    private let client: HTTPClient

    /// The longest reply, in bytes.
    private static let longestReply = 8 << 20
    /// A server that is starting, or has too much to do, is asked so many times.
    private static let attempts = 4

    /// - Parameters:
    ///   - server: its address, such as `http://127.0.0.1:8080`, with or without `/virtual`.
    ///   - key: ToolBench's key, for servers that ask for one.
    ///   - seconds: the longest a call may take.
    /// - Throws: `VirtualAPIError.address`.
    public init(
        _ server: String, key: String = "", seconds: Double = 120, client: HTTPClient = .shared
    ) throws {
        guard let url = URL(string: server), let scheme = url.scheme, ["http", "https"].contains(scheme),
            url.host != nil
        else { throw VirtualAPIError.address(server) }
        let base = server.hasSuffix("/") ? String(server.dropLast()) : server
        address = base.hasSuffix("/virtual") ? base : "\(base)/virtual"
        self.key = key
        self.seconds = seconds
        self.client = client
    }

    /// Asks the server.
    /// - Throws: `VirtualAPIError`.
    public func reply(to call: VirtualCall) async throws -> VirtualReply {
        var call = call
        call.key = key
        // ToolBench's own server takes texts only.
        if call.input.string == nil { call.input = .string(call.input.jsonText) }
        var request = HTTPClientRequest(url: address)
        request.method = .POST
        request.headers = ["Content-Type": "application/json", "Accept": "application/json"]
        let body = ByteBuffer(bytes: try ExactJSON.encode(call))
        for attempt in 1... {
            request.body = .bytes(body)
            do {
                return try await exchange(request)
            } catch let error as VirtualAPIError {
                guard attempt < Self.attempts, error.mayPass else { throw error }
            } catch {
                try Task.checkCancellation()
                guard attempt < Self.attempts else { throw VirtualAPIError.connection(address, "\(error)") }
            }
            try await Task.sleep(for: .milliseconds(200 << attempt))
        }
        throw VirtualAPIError.connection(address, "no attempt was made")
    }

    private func exchange(_ request: HTTPClientRequest) async throws -> VirtualReply {
        let response = try await client.execute(request, timeout: .nanoseconds(Int64(seconds * 1e9)))
        let bytes = try await response.body.collect(upTo: Self.longestReply)
        let value = try? ExactJSON.value(of: bytes.readableBytesView)
        guard response.status == .ok else {
            let text = value?["error"]?.string ?? String(buffer: bytes)
            throw VirtualAPIError.status(Int(response.status.code), String(text.prefix(200)))
        }
        guard let value, let reply = value["response"] else { throw VirtualAPIError.unreadable(address) }
        let error = value["error"].map { $0 == .null ? "" : $0.text } ?? ""
        return VirtualReply(error: error, response: reply)
    }
}

/// A virtual API server that could not be asked.
public enum VirtualAPIError: Error, CustomStringConvertible, Equatable {
    case address(String)
    case connection(String, String)
    case status(Int, String)
    case unreadable(String)

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .address(let address): "'\(address)' is no address; give one such as http://127.0.0.1:8080"
        case .connection(let address, let reason):
            "\(address) could not be reached: \(reason); start the server, or give another"
        case .status(let status, let text): "the virtual API server answered \(status): \(text)"
        case .unreadable(let address): "\(address) replied with something else than {\"error\", \"response\"}"
        }
    }

    /// Whether another try makes sense.
    fileprivate var mayPass: Bool {
        if case .status(let status, _) = self { status == 429 || status == 503 } else { false }
    }
}
