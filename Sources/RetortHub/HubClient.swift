import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import RetortCore
import RetortWeb

/// Asks a hub, the way `huggingface_hub` does, which files a model has, and fetches them.
struct HubClient: Sendable {
    let settings: HubSettings
    private let clients: WebClients

    /// The longest listing that is accepted, in bytes.
    private static let longestListing = 32 << 20
    /// How much of an error's text is shown, in characters.
    private static let longestMessage = 300
    private static let mostRedirects = 10

    /// Opens a client for some work, and closes it afterwards.
    static func with<Value: Sendable>(
        _ settings: HubSettings, _ work: @Sendable (HubClient) async throws -> Value
    ) async throws -> Value {
        let patience = TimeAmount.milliseconds(Int64(settings.patienceSeconds * 1000))
        var configuration = HTTPClient.Configuration(timeout: .init(connect: patience, read: patience))
        configuration.redirectConfiguration = .disallow
        // A refused connection is reported at once; `retrying` decides what to do then.
        configuration.connectionPool.retryConnectionEstablishment = false
        let clients = WebClients(configuration, through: try settings.proxies.get())
        do {
            let value = try await work(HubClient(settings: settings, clients: clients))
            await clients.shutdown()
            return value
        } catch {
            await clients.shutdown()
            throw error
        }
    }

    /// The files of a model's repository.
    func repository(_ name: ModelName) async throws -> HubRepository {
        let revision = Self.escaped(name.revision ?? "main")
        let path = "/api/models/\(name.repository)/revision/\(revision)?blobs=true"
        // Without a network, nobody should wait long to be told so.
        return try await retrying(connections: 2) {
            let answer = try await get(path, for: name)
            guard answer.status == .ok else { throw try await refusal(answer, name, what: name.repository) }
            let body = try await reading(name.repository) { try await answer.body.collect(upTo: Self.longestListing) }
            let value: JSONValue
            do {
                value = try ExactJSON.value(of: body.readableBytesView)
            } catch {
                throw HubError.malformed(what: name.repository, reason: "\(error)")
            }
            return try HubRepository(value, name: name.repository)
        }
    }

    /// Fetches a file's bytes into `part`, after those that are there already.
    /// - Parameter progress: called with the number of bytes that are there.
    /// - Throws: `HubError`; the bytes fetched so far stay for the next attempt.
    func fetch(
        _ file: HubRepository.File, of name: ModelName, commit: String, into part: URL,
        progress: @Sendable (Int64) -> Void
    ) async throws {
        let path = "/\(name.repository)/resolve/\(commit)/\(Self.escaped(file.path))"
        try await retrying(resetting: { Self.size(of: part) }) {
            var offset = Self.size(of: part)
            if let size = file.size, offset >= size {
                if offset == size, size > 0 { return }
                offset = 0
            }
            let answer = try await get(path, for: name, from: offset)
            switch answer.status {
            case .ok: offset = 0
            case .partialContent where Self.begins(answer.headers, at: offset): break
            case .partialContent, .rangeNotSatisfiable:
                try? FileManager.default.removeItem(at: part)
                throw HubError.unreachable(endpoint: settings.endpoint, reason: "it sent another part of \(file.path)")
            default: throw try await refusal(answer, name, what: "\(name.repository)/\(file.path)")
            }
            try await write(answer.body, of: file, to: part, from: offset, progress)
        }
    }

    private func write(
        _ body: HTTPClientResponse.Body, of file: HubRepository.File, to part: URL, from offset: Int64,
        _ progress: @Sendable (Int64) -> Void
    ) async throws {
        let handle = try PartFile(part, keeping: offset)
        defer { handle.close() }
        var count = offset
        try await reading(file.path) {
            for try await chunk in body {
                count += Int64(chunk.readableBytes)
                if let size = file.size, count > size {
                    try? FileManager.default.removeItem(at: part)
                    throw HubError.damaged(file: file.path, reason: "more came than its \(size) bytes")
                }
                try handle.write(chunk)
                progress(count)
            }
        }
        if let size = file.size, count < size {
            throw HubError.unreachable(
                endpoint: settings.endpoint,
                reason: "the connection ended after \(count) of \(size) bytes of \(file.path)")
        }
    }

    // MARK: Requests

    /// A request, following redirects. The token is sent only to the hub, not to the storage that it redirects to.
    private func get(_ path: String, for name: ModelName, from offset: Int64 = 0) async throws -> HTTPClientResponse {
        guard var url = URL(string: settings.endpoint + path), let home = url.origin else {
            throw HubError.unreachable(endpoint: settings.endpoint, reason: "HF_ENDPOINT is no address")
        }
        for _ in 0...Self.mostRedirects {
            var request = HTTPClientRequest(url: url.absoluteString)
            request.headers = ["user-agent": "retort/\(Retort.version)", "accept-encoding": "identity"]
            if offset > 0 { request.headers.add(name: "range", value: "bytes=\(offset)-") }
            if let token = settings.token, url.origin == home {
                request.headers.add(name: "authorization", value: "Bearer \(token.secret)")
            }
            // Connecting and each read have their own limits; this one only bounds a transfer that never ends.
            let (sent, client) = (request, clients.client(for: url))
            let answer = try await reading(name.repository) {
                try await client.execute(sent, timeout: .hours(24))
            }
            guard (300..<400).contains(Int(answer.status.code)), let place = answer.headers.first(name: "location")
            else {
                return answer
            }
            guard let next = URL(string: place, relativeTo: url)?.absoluteURL, next.origin != nil,
                next.scheme == "https" || url.scheme == "http"
            else { throw HubError.malformed(what: name.repository, reason: "it points to '\(place.prefix(100))'") }
            url = next
        }
        throw HubError.malformed(what: name.repository, reason: "it points on and on")
    }

    /// Repeats work whose failure may be temporary, with longer and longer pauses.
    /// - Parameters:
    ///   - mark: a value that grows when an attempt made progress; the count of attempts then starts again.
    ///   - connections: how often a failing connection is tried; nil is as often as other failures.
    private func retrying<Value>(
        resetting mark: () -> Int64 = { 0 }, connections: Int? = nil, _ work: () async throws -> Value
    ) async throws -> Value {
        var attempt = 1
        while true {
            let before = mark()
            do {
                return try await work()
            } catch let error as HubError where error.mayPass {
                attempt = mark() > before ? 1 : attempt + 1
                var most = settings.attempts
                if case .unreachable = error, let connections { most = min(most, connections) }
                guard attempt <= most else { throw error }
                try await Task.sleep(for: .seconds(settings.backoffSeconds * pow(2, Double(attempt - 1))))
            }
        }
    }

    /// Reports failures of the connection as errors of the hub.
    private func reading<Value>(_ what: String, _ work: () async throws -> Value) async throws -> Value {
        do {
            return try await work()
        } catch let error as HubError {
            throw error
        } catch is NIOTooManyBytesError {
            throw HubError.malformed(what: what, reason: "it is longer than \(Self.longestListing) bytes")
        } catch {
            if error is CancellationError || Task.isCancelled { throw CancellationError() }
            throw HubError.unreachable(endpoint: settings.endpoint, reason: WebFault.reason(error))
        }
    }

    /// The error behind an answer that is not the requested bytes. The hub names it in a header; without one, the
    /// status decides.
    private func refusal(_ answer: HTTPClientResponse, _ name: ModelName, what: String) async throws -> HubError {
        let isAnonymous = settings.token == nil
        let missing = HubError.missing(name: name.repository, endpoint: settings.endpoint, isAnonymous: isAnonymous)
        let gated = HubError.gated(name: name.repository, endpoint: settings.endpoint, isAnonymous: isAnonymous)
        switch (answer.headers.first(name: "x-error-code"), answer.status) {
        case ("RepoNotFound", _): return missing
        case ("GatedRepo", _): return gated
        case ("RevisionNotFound", _): return .noRevision(name: name.repository, revision: name.revision ?? "main")
        case (nil, .unauthorized): return isAnonymous ? missing : .badToken(endpoint: settings.endpoint)
        case (nil, .notFound) where what == name.repository: return missing
        default: break
        }
        let body = (try? await answer.body.collect(upTo: 64 << 10)).map { Data($0.readableBytesView) } ?? Data()
        let told = (try? ExactJSON.value(of: body))?["error"]?.string ?? String(decoding: body, as: UTF8.self)
        let message = told.trimmingCharacters(in: .whitespacesAndNewlines).prefix(Self.longestMessage)
        return .refused(
            what: what, status: Int(answer.status.code),
            message: message.isEmpty ? answer.status.reasonPhrase : String(message))
    }

    private static func begins(_ headers: HTTPHeaders, at offset: Int64) -> Bool {
        headers.first(name: "content-range")?.lowercased().hasPrefix("bytes \(offset)-") == true
    }

    static func size(of file: URL) -> Int64 {
        let size = try? FileManager.default.attributesOfItem(atPath: file.path)[.size] as? NSNumber
        return size?.int64Value ?? 0
    }

    private static func escaped(_ path: String) -> String {
        path.addingPercentEncoding(withAllowedCharacters: .urlPathAllowed.subtracting([";", "?", "#", "%"])) ?? path
    }
}

extension URL {
    /// Scheme, host and port; nil for an address without them.
    fileprivate var origin: String? {
        guard let scheme = scheme?.lowercased(), ["http", "https"].contains(scheme), let host = host(), !host.isEmpty
        else {
            return nil
        }
        return "\(scheme)://\(host.lowercased()):\(port ?? (scheme == "https" ? 443 : 80))"
    }
}
