import Foundation

/// The proxies through which the web is reached, according to the environment: `HTTPS_PROXY`, `HTTP_PROXY`,
/// `ALL_PROXY` and `NO_PROXY`, in upper or lower case, with the meanings that curl and Python's requests give them.
/// This machine itself is never reached through a proxy.
public struct ProxySettings: Sendable, Hashable {
    /// One proxy.
    public struct Proxy: Sendable, Hashable, CustomStringConvertible {
        /// The protocol that the proxy speaks.
        public enum Kind: Sendable, Hashable { case http, socks }

        /// The protocol that the proxy speaks.
        public var kind: Kind
        /// A name or an IP address.
        public var host: String
        /// The TCP port.
        public var port: Int
        /// The user to log in as; nil is none.
        public var user: String?
        /// The user's password. It is never shown.
        public var password: String?

        /// The address without user and password.
        public var description: String { "\(kind == .socks ? "socks5" : "http")://\(host):\(port)" }
    }

    /// The proxies by the scheme of the requested address.
    private var proxies: [String: Proxy] = [:]
    /// Destinations reached without a proxy: `*`, domain names with their subdomains, IP addresses and ranges; each
    /// may have a port.
    private var exceptions: [String] = []

    /// No proxy.
    public init() {}

    /// Reads the settings from environment variables.
    /// - Throws: `ProxyError`.
    public init(environment: [String: String]) throws(ProxyError) {
        func value(_ name: String) -> (name: String, value: String)? {
            // Web servers put a header that their callers control into HTTP_PROXY, so the lower-case name comes
            // first.
            for name in [name.lowercased(), name] {
                if let text = environment[name]?.trimmingCharacters(in: .whitespaces), !text.isEmpty {
                    return (name, text)
                }
            }
            return nil
        }
        for (scheme, variable) in [("https", "HTTPS_PROXY"), ("http", "HTTP_PROXY")] {
            guard let (name, text) = value(variable) ?? value("ALL_PROXY") else { continue }
            proxies[scheme] = try Self.proxy(text, named: name)
        }
        exceptions = (value("NO_PROXY")?.value ?? "").lowercased().split { $0 == "," || $0.isWhitespace }.map(
            String.init)
    }

    private static func proxy(_ text: String, named variable: String) throws(ProxyError) -> Proxy {
        let address = text.contains("://") ? text : "http://\(text)"
        guard let parts = URLComponents(string: address), let host = parts.host, !host.isEmpty else {
            throw ProxyError.malformed(variable: variable)
        }
        let kind: Proxy.Kind
        switch parts.scheme?.lowercased() {
        case "http": kind = .http
        case "socks5", "socks5h", "socks": kind = .socks
        case let scheme: throw ProxyError.unknown(variable: variable, scheme: scheme ?? "")
        }
        if kind == .socks, parts.user != nil { throw ProxyError.socksPassword(variable: variable) }
        return Proxy(
            kind: kind, host: host.trimmingCharacters(in: CharacterSet(charactersIn: "[]")),
            port: parts.port ?? (kind == .socks ? 1080 : 80), user: parts.user, password: parts.password)
    }

    /// All configured proxies.
    var all: Set<Proxy> { Set(proxies.values) }

    /// The proxy through which an address is reached; nil for none.
    public func proxy(for url: URL) -> Proxy? {
        guard let scheme = url.scheme?.lowercased(), let host = url.host?.lowercased(), let proxy = proxies[scheme]
        else { return nil }
        let bare = host.trimmingCharacters(in: CharacterSet(charactersIn: "[]."))
        if bare == "localhost" || bare.hasSuffix(".localhost") || bare == "::1" || Self.address(bare)?.first == 127 {
            return nil
        }
        let port = url.port ?? (scheme == "https" ? 443 : 80)
        return exceptions.contains { Self.covers($0, bare, port) } ? nil : proxy
    }

    private static func covers(_ exception: String, _ host: String, _ port: Int) -> Bool {
        if exception == "*" { return true }
        var name = exception
        // A name with one colon has a port; an IPv6 address has more colons.
        let parts = name.split(separator: ":", omittingEmptySubsequences: false)
        if parts.count == 2, let own = Int(parts[1]) {
            guard own == port else { return false }
            name = String(parts[0])
        }
        if let range = name.split(separator: "/").last, name.contains("/") {
            guard let bits = Int(range), (0...32).contains(bits), let net = address(String(name.prefix { $0 != "/" })),
                let own = address(host)
            else { return false }
            let mask: UInt32 = bits == 0 ? 0 : ~0 << UInt32(32 - bits)
            return number(net) & mask == number(own) & mask
        }
        name = name.trimmingCharacters(in: CharacterSet(charactersIn: "[]"))
        while name.hasPrefix("*") || name.hasPrefix(".") { name.removeFirst() }
        return !name.isEmpty && (host == name || host.hasSuffix(".\(name)"))
    }

    /// The bytes of an IPv4 address.
    private static func address(_ text: String) -> [UInt8]? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        let bytes = parts.compactMap { UInt8($0) }
        return parts.count == 4 && bytes.count == 4 ? bytes : nil
    }

    private static func number(_ bytes: [UInt8]) -> UInt32 { bytes.reduce(0) { $0 << 8 | UInt32($1) } }
}

/// Proxy settings that cannot be used. The variable's value may contain a password, so it is not shown.
public enum ProxyError: Error, Hashable, CustomStringConvertible {
    /// The variable does not contain the address of a proxy.
    case malformed(variable: String)
    /// The proxy's protocol is neither HTTP nor SOCKS5.
    case unknown(variable: String, scheme: String)
    /// The variable has a user for a SOCKS proxy, which is not supported.
    case socksPassword(variable: String)

    /// The fault and its remedy, for people.
    public var description: String {
        switch self {
        case .malformed(let variable):
            "\(variable) is no address of a proxy; write one like http://proxy.example.com:3128, or take the variable out"
        case .unknown(let variable, let scheme):
            "\(variable) names a proxy that speaks '\(scheme)'; http:// and socks5:// are understood"
        case .socksPassword(let variable):
            "\(variable) has a user for a SOCKS proxy, and such proxies are asked without one"
        }
    }
}
