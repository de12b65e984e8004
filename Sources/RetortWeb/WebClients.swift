import AsyncHTTPClient
import Foundation

/// HTTP clients, one for each proxy, and one for addresses that are reached without a proxy.
public final class WebClients: Sendable {
    private let settings: ProxySettings
    private let clients: [ProxySettings.Proxy?: HTTPClient]

    /// - Parameters:
    ///   - configuration: the configuration of each client; its `proxy` is replaced.
    ///   - settings: which addresses are reached through which proxies.
    public init(_ configuration: HTTPClient.Configuration, through settings: ProxySettings) {
        self.settings = settings
        var clients: [ProxySettings.Proxy?: HTTPClient] = [:]
        for proxy in [nil] + settings.all.map(Optional.some) {
            var own = configuration
            own.proxy = proxy.map(HTTPClient.Configuration.Proxy.init)
            clients[proxy] = HTTPClient(eventLoopGroupProvider: .singleton, configuration: own)
        }
        self.clients = clients
    }

    /// Clients with the proxies that this process's environment names.
    public convenience init(_ configuration: HTTPClient.Configuration) throws(ProxyError) {
        self.init(configuration, through: try ProxySettings(environment: ProcessInfo.processInfo.environment))
    }

    /// The client for an address.
    public func client(for url: URL) -> HTTPClient {
        clients[settings.proxy(for: url)] ?? HTTPClient.shared
    }

    /// Closes all clients.
    public func shutdown() async {
        for client in clients.values { try? await client.shutdown() }
    }
}

extension HTTPClient.Configuration.Proxy {
    init(_ proxy: ProxySettings.Proxy) {
        switch proxy.kind {
        case .socks: self = .socksServer(host: proxy.host, port: proxy.port)
        case .http:
            self = .server(
                host: proxy.host, port: proxy.port,
                authorization: proxy.user.map { .basic(username: $0, password: proxy.password ?? "") })
        }
    }
}
