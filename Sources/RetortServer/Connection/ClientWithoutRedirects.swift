import AsyncHTTPClient

extension HTTPClient {
    /// Follows no redirects, which would take a request's keys to another host.
    static let withoutRedirects = HTTPClient(
        eventLoopGroupProvider: .singleton, configuration: .init(redirectConfiguration: .disallow))
}
