import Crypto
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import RetortCore
import Synchronization

@testable import RetortHub

/// A hub on the loopback interface that answers as the real one does: listings, redirects to a storage of its own, ranges, and
/// models that are missing, gated or private.
final class HubStand: Sendable {
    struct Model: Sendable {
        var files: [String: Data]
        var commit = String(repeating: "c0ffee12", count: 5)
        var isGated = false
        /// Files that are known by SHA-256, as large ones are.
        var large: Set<String> = ["model.safetensors"]
    }

    /// What the storage does wrong, each once, in turn.
    enum Fault: Sendable {
        /// Ends the connection after so many bytes.
        case cut(after: Int)
        case status(Int)
        /// Answers a request for a part with the whole.
        case ignoresRange
        case otherBytes
    }

    struct Seen: Sendable {
        var path: String
        var range: String?
        var authorization: String?
    }

    let models: [String: Model]
    private let faults: Mutex<[Fault]>
    private let log = Mutex<[Seen]>([])

    init(_ models: [String: Model], faults: [Fault] = []) {
        self.models = models
        self.faults = Mutex(faults)
    }

    var seen: [Seen] { log.withLock { $0 } }
    var downloads: [Seen] { seen.filter { $0.path.contains("/storage/") || $0.path.contains("/resolve/") } }

    static let secret = "hf_letmein"

    /// Listens for as long as the work takes; the storage listens elsewhere, as a content network does.
    func with<Value: Sendable>(_ work: @escaping @Sendable (_ endpoint: String) async throws -> Value) async throws
        -> Value
    {
        try await Self.listen({ try await self.storage($0) }) { storage in
            try await Self.listen({ try await self.hub($0, storage: storage) }, work)
        }
    }

    private static func listen<Value: Sendable>(
        _ answer: @escaping @Sendable (Request) async throws -> Response,
        _ work: @escaping @Sendable (String) async throws -> Value
    ) async throws -> Value {
        let (ports, continuation) = AsyncStream<Int>.makeStream()
        let app = Application(
            responder: CallbackResponder<BasicRequestContext> { request, _ in try await answer(request) },
            configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { continuation.yield($0.localAddress?.port ?? 0) },
            logger: Logger(label: "hub", factory: { _ in SwiftLogNoOpLogHandler() }))
        return try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask {
                // Cancelled when the work is done.
                try? await app.run()
                return nil
            }
            group.addTask {
                var iterator = ports.makeAsyncIterator()
                return try await work("http://127.0.0.1:\(await iterator.next() ?? 0)")
            }
            defer { group.cancelAll() }
            while let value = try await group.next() {
                if let value { return value }
            }
            throw CancellationError()
        }
    }

    private func note(_ request: Request) {
        log.withLock {
            $0.append(
                Seen(
                    path: request.uri.path, range: request.headers[.range],
                    authorization: request.headers[.authorization]))
        }
    }

    private func hub(_ request: Request, storage: String) async throws -> Response {
        note(request)
        let parts = request.uri.path.split(separator: "/").map(String.init)
        let token = request.headers[.authorization]
        if let token, token != "Bearer \(Self.secret)" { return Self.error(401, nil, "Invalid credentials") }
        let isListing = parts.first == "api"
        let name =
            isListing ? parts.dropFirst(2).prefix(2).joined(separator: "/") : parts.prefix(2).joined(separator: "/")
        guard let model = models[name] else { return Self.error(401, "RepoNotFound", "Repository not found") }
        if isListing {
            let revision = parts.dropFirst(5).joined(separator: "/")
            guard revision == "main" || revision == model.commit else {
                return Self.error(404, "RevisionNotFound", "Invalid rev id: \(revision)")
            }
            return Response(status: .ok, body: .init(byteBuffer: ByteBuffer(bytes: try Self.listing(model))))
        }
        if model.isGated, token == nil { return Self.error(401, "GatedRepo", "Access is restricted") }
        let path = parts.dropFirst(4).joined(separator: "/")
        guard model.files[path] != nil else { return Self.error(404, "EntryNotFound", "Entry not found") }
        return Response(
            status: .found, headers: [.location: "\(storage)/storage/\(name)/\(path)"], body: .init())
    }

    private func storage(_ request: Request) async throws -> Response {
        note(request)
        let parts = request.uri.path.split(separator: "/").map(String.init)
        let name = parts.dropFirst().prefix(2).joined(separator: "/")
        guard var data = models[name]?.files[parts.dropFirst(3).joined(separator: "/")] else {
            return Self.error(404, nil, "not here")
        }
        let fault = faults.withLock { $0.isEmpty ? nil : $0.removeFirst() }
        var offset = 0
        if let range = request.headers[.range], let start = Int(range.dropFirst("bytes=".count).dropLast()) {
            offset = start
        }
        switch fault {
        case .status(let code): return Self.error(code, nil, "try later")
        case .otherBytes: data = Data(data.map { $0 ^ 1 })
        case .ignoresRange: offset = 0
        case .cut, nil: break
        }
        guard offset < data.count || data.isEmpty else { return Self.error(416, nil, "out of range") }
        let rest = data.dropFirst(offset)
        var headers: HTTPFields = [.contentLength: "\(rest.count)"]
        if offset > 0 { headers[.contentRange] = "bytes \(offset)-\(data.count - 1)/\(data.count)" }
        let sent: Data
        if case .cut(let count) = fault { sent = Data(rest.prefix(count)) } else { sent = Data(rest) }
        let body = ResponseBody(contentLength: rest.count) { writer in
            try await writer.write(ByteBuffer(bytes: sent))
            if sent.count < rest.count { throw CancellationError() }
            try await writer.finish(nil)
        }
        return Response(status: offset > 0 ? .partialContent : .ok, headers: headers, body: body)
    }

    private static func error(_ status: Int, _ code: String?, _ message: String) -> Response {
        var headers: HTTPFields = [:]
        if let code, let name = HTTPField.Name("x-error-code") { headers[name] = code }
        return Response(
            status: .init(code: status), headers: headers,
            body: .init(byteBuffer: ByteBuffer(string: #"{"error": "\#(message)"}"#)))
    }

    private static func listing(_ model: Model) throws -> Data {
        let siblings = model.files.sorted { $0.key < $1.key }.map { path, data -> JSONValue in
            var file: [String: JSONValue] = ["rfilename": .string(path), "size": .integer(data.count)]
            file["blobId"] = .string(hex(Insecure.SHA1.hash(data: Data("blob \(data.count)\0".utf8) + data)))
            if model.large.contains(path) {
                file["lfs"] = ["sha256": .string(hex(SHA256.hash(data: data))), "size": .integer(data.count)]
            }
            return .object(file)
        }
        return Data(JSONValue.object(["sha": .string(model.commit), "siblings": .array(siblings)]).jsonText.utf8)
    }

    private static func hex(_ digest: some Digest) -> String {
        digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
