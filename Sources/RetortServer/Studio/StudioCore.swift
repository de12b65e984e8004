import Foundation
import Hummingbird
import NIOCore
import RetortCore
import Synchronization

/// The state that all of a studio's requests share.
final class StudioCore: Sendable {
    let places: StudioPlaces
    let options: StudioOptions
    let templates: StudioTemplates
    let runs: StudioRuns
    let talks: OpenTalks
    let domains: TriedDomains
    /// The cookie's name; it is random, so that two studios on one machine do not take each other's cookie.
    let cookie = "retort-studio-" + String(UInt32.random(in: .min ... .max), radix: 16)
    private let stopping = Atomic(false)
    private let live = Atomic(0)

    init(_ places: StudioPlaces, _ options: StudioOptions, _ templates: StudioTemplates) {
        self.places = places
        self.options = options
        self.templates = templates
        runs = StudioRuns(places.runs + [places.talks])
        talks = OpenTalks(places.agents, most: options.maximumTalks)
        domains = TriedDomains(places.domains)
    }

    /// Whether the studio is about to stop; pages are then no longer kept up to date.
    var isStopping: Bool { stopping.load(ordering: .relaxed) }

    func stop() { stopping.store(true, ordering: .relaxed) }

    /// Closes everything that is held open.
    func close() async {
        stop()
        await talks.close()
        await domains.close()
    }

    /// A page.
    func page(_ body: some Sendable, _ template: String, title: String, here: String, status: HTTPResponse.Status = .ok)
        throws -> Response
    {
        .html(try templates.page(body, template, title: title, sections: sections(here)), status: status)
    }

    private func sections(_ here: String) -> [PageFrame.Section] {
        [("/", "Runs"), ("/compare", "Compare"), ("/talk", "Talk"), ("/try", "Try")].map {
            PageFrame.Section(href: $0.0, name: $0.1, isHere: $0.1 == here)
        }
    }

    /// A part of a page that is kept up to date while the page is open.
    struct Part: Sendable {
        /// The event's name; nil is the default.
        var name: String?
        /// Changes whenever the part changes.
        let key: String
        /// The part's text as it is sent.
        let text: @Sendable () throws -> String
    }

    /// Keeps parts of a page up to date while somebody looks at it: sends each part when it has changed (server-sent
    /// events).
    /// - Parameter parts: the parts, and the seconds to wait before asking for them again.
    func live(
        _ context: ServerContext, _ parts: @escaping @Sendable () async throws -> (parts: [Part], seconds: Double)
    ) async throws -> Response {
        guard live.add(1, ordering: .relaxed).newValue <= options.maximumLivePages else {
            live.subtract(1, ordering: .relaxed)
            throw APIError.overloaded("as many pages are kept up to date as may", retryAfter: 10)
        }
        let presence = try await context.presence()
        return Response(
            status: .ok, headers: [.contentType: "text/event-stream; charset=utf-8", .cacheControl: "no-store"],
            body: ResponseBody { [self] writer in
                defer { live.subtract(1, ordering: .relaxed) }
                var sent: [String?: String] = [:]
                var silence = 0.0
                while !isStopping, !presence.isGone, !Task.isCancelled {
                    let (parts, seconds) = try await parts()
                    for part in parts where sent[part.name] != part.key {
                        let lines = try part.text().split(separator: "\n", omittingEmptySubsequences: false)
                        let name = part.name.map { "event: \($0)\n" } ?? ""
                        try await writer.write(
                            ByteBuffer(string: name + lines.map { "data: \($0)\n" }.joined() + "\n"))
                        sent[part.name] = part.key
                        silence = 0
                    }
                    if silence > 15 {
                        try await writer.write(ByteBuffer(string: ": still here\n\n"))
                        silence = 0
                    }
                    silence += seconds
                    try await Task.sleep(for: .seconds(seconds))
                }
                try await writer.finish(nil)
            })
    }
}

extension Response {
    /// A page as an HTML response.
    static func html(_ text: String, status: HTTPResponse.Status = .ok) -> Response {
        let bytes = ByteBuffer(string: text)
        return Response(
            status: status,
            headers: [.contentType: "text/html; charset=utf-8", .contentLength: String(bytes.readableBytes)],
            body: ResponseBody(byteBuffer: bytes))
    }

    /// Sends the browser to another page of the studio.
    static func see(_ path: String) -> Response { Response(status: .seeOther, headers: [.location: path]) }
}

extension Response {
    /// A text in full, unchanged. A browser shows it as text, whatever it contains.
    /// - Throws: `APIError` when there is none.
    static func text(_ text: String?) throws(APIError) -> Response {
        guard let text else { throw noPart }
        let bytes = ByteBuffer(string: text)
        return Response(
            status: .ok,
            headers: [.contentType: "text/plain; charset=utf-8", .contentLength: String(bytes.readableBytes)],
            body: ResponseBody(byteBuffer: bytes))
    }

    static let noPart = APIError(status: .notFound, code: "not_found", message: "the trajectory has no such part")
}
