import Foundation

/// Through which proxies the web is reached, as the environment says: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in capitals
/// or not, with the meanings that curl and Python's requests give them. This machine itself is never reached through one.
public struct ProxySettings: Sendable, Hashable {
    /// One proxy.
    public struct Proxy: Sendable, Hashable, CustomStringConvertible {
        /// How it is spoken to.
        public enum Kind: Sendable, Hashable { case http, socks }

        /// How it is spoken to.
        public var kind: Kind
        /// Its name or address.
        public var host: String
        /// Its port.
        public var port: Int
        /// Who asks; nil is nobody in particular.
        public var user: String?
        /// Never shown.
        public var password: String?

        /// Without the password.
        public var description: String { "\(kind == .socks ? "socks5" : "http")://\(host):\(port)" }
    }

    /// By the scheme of what is asked for.
    private var proxies: [String: Proxy] = [:]
    /// What is reached without one: `*`, names with all that end in them, addresses and ranges of them; each perhaps with a port.
    private var exceptions: [String] = []

    /// No proxy.
    public init() {}

    /// Reads an environment.
    /// - Throws: `ProxyError`.
    public init(environment: [String: String]) throws(ProxyError) {
        func value(_ name: String) -> (name: String, value: String)? {
            // Web servers put a header of their callers into HTTP_PROXY, so small letters come first.
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

    /// All that are named.
    var all: Set<Proxy> { Set(proxies.values) }

    /// Through which an address is reached; nil is without one.
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
        // A name with one colon has a port; an address of version 6 has more.
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

    /// An address of version 4.
    private static func address(_ text: String) -> [UInt8]? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        let bytes = parts.compactMap { UInt8($0) }
        return parts.count == 4 && bytes.count == 4 ? bytes : nil
    }

    private static func number(_ bytes: [UInt8]) -> UInt32 { bytes.reduce(0) { $0 << 8 | UInt32($1) } }
}

/// Proxies that cannot be used. What stands in the variable may hold a password, so it is not shown.
public enum ProxyError: Error, Hashable, CustomStringConvertible {
    case malformed(variable: String)
    case unknown(variable: String, scheme: String)
    case socksPassword(variable: String)

    /// What went wrong, and what to do.
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
