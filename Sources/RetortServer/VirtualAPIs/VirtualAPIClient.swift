import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import RetortAgents
import RetortCore
import RetortWeb

/// Calls APIs by StableToolBench's protocol: a server of this package, or StableToolBench's own.
public struct VirtualAPIClient: VirtualAPIs {
    private let address: String
    private let key: String
    private let seconds: Double
    private let client: HTTPClient

    /// The longest reply, in bytes.
    private static let longestReply = 8 << 20
    /// How often a server that is starting or overloaded is asked.
    private static let attempts = 4

    /// - Parameters:
    ///   - server: the server's address, such as `http://127.0.0.1:8080`, with or without `/virtual`.
    ///   - key: ToolBench's key, for servers that ask for one.
    ///   - seconds: the longest each attempt at a call may take.
    ///   - client: nil is one that follows no redirects, which would take the key to another host.
    /// - Throws: `VirtualAPIError.address` for an address that is not HTTP.
    public init(
        _ server: String, key: String = "", seconds: Double = 120, client: HTTPClient? = nil
    ) throws {
        guard let url = URL(string: server), let scheme = url.scheme, ["http", "https"].contains(scheme),
            url.host != nil
        else { throw VirtualAPIError.address(server) }
        let base = server.hasSuffix("/") ? String(server.dropLast()) : server
        address = base.hasSuffix("/virtual") ? base : "\(base)/virtual"
        self.key = key
        self.seconds = seconds
        self.client = client ?? .withoutRedirects
    }

    /// Sends a call, and tries again, up to four times in all, when the server cannot be reached or is busy (status
    /// 429 or 503).
    /// - Throws: `VirtualAPIError` for the last attempt's failure; `CancellationError`.
    public func reply(to call: VirtualCall) async throws -> VirtualReply {
        var call = call
        call.key = key
        // ToolBench's own server accepts only texts.
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
                guard attempt < Self.attempts else {
                    throw Self.isUnreachable(error)
                        ? VirtualAPIError.connection(address, WebFault.reason(error))
                        : .broken(address, WebFault.reason(error))
                }
            }
            try await Task.sleep(for: .milliseconds(200 << attempt))
        }
        throw VirtualAPIError.connection(address, "no attempt was made")
    }

    /// Whether no connection came about, as to a server that is down; one that breaks may do so on a single call.
    private static func isUnreachable(_ error: any Error) -> Bool {
        switch error {
        case is NIOConnectionError: true
        case let error as IOError: [ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT].contains(error.errnoCode)
        case let error as HTTPClientError: [.connectTimeout, .getConnectionFromPoolTimeout].contains(error)
        default: false
        }
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

/// A virtual API server that could not be asked, or did not answer by the protocol.
public enum VirtualAPIError: RunHalting, CustomStringConvertible, Equatable {
    /// The text is not an HTTP address.
    case address(String)
    /// The server at this address could not be reached, with the reason.
    case connection(String, String)
    /// The server at this address did not answer to the end, with the reason.
    case broken(String, String)
    /// The server answered with this HTTP status and the beginning of its message.
    case status(Int, String)
    /// The server at this address replied with something other than the protocol's object.
    case unreadable(String)

    /// The fault and its remedy, for people.
    public var description: String {
        switch self {
        case .address(let address): "'\(address)' is no address; give one such as http://127.0.0.1:8080"
        case .connection(let address, let reason):
            "\(address) could not be reached: \(reason); start the server, or give another"
        case .broken(let address, let reason): "\(address) broke off: \(reason)"
        case .status(let status, let text): "the virtual API server answered \(status): \(text)"
        case .unreadable(let address): "\(address) replied with something else than {\"error\", \"response\"}"
        }
    }

    /// A server that is down, and one that knows neither the key nor the protocol, would fail every call alike.
    public var haltsRun: Bool {
        switch self {
        case .address, .connection: true
        case .status(let status, _): [401, 403, 404].contains(status)
        case .broken, .unreadable: false
        }
    }

    /// Whether another attempt makes sense.
    fileprivate var mayPass: Bool {
        if case .status(let status, _) = self { status == 429 || status == 503 } else { false }
    }
}
