import NIOCore

/// Hosts that are this machine, or in a network of one's own.
enum PrivateHost {
    /// Names that public DNS does not give out: RFC 6761, 6762, 9476, and those without a dot.
    private static let endings = [
        ".localhost", ".local", ".internal", ".lan", ".home.arpa", ".intranet", ".corp", ".home",
    ]

    static func contains(_ host: String) -> Bool {
        var name = host.lowercased()
        if name.hasPrefix("["), name.hasSuffix("]") { name = String(name.dropFirst().dropLast()) }
        if let zone = name.firstIndex(of: "%") { name = String(name[..<zone]) }
        guard let address = try? SocketAddress(ipAddress: name, port: 0) else {
            return !name.contains(".") && !name.contains(":") || endings.contains(where: name.hasSuffix)
        }
        switch address {
        case .v4(let address):
            return isPrivate(withUnsafeBytes(of: address.address.sin_addr) { Array($0) })
        case .v6(let address):
            let bytes = withUnsafeBytes(of: address.address.sin6_addr) { Array($0) }
            // An IPv4 address in IPv6's form.
            if bytes.prefix(10).allSatisfy({ $0 == 0 }), bytes[10] == 0xFF, bytes[11] == 0xFF {
                return isPrivate(Array(bytes[12...]))
            }
            let isLoopback = bytes.dropLast().allSatisfy { $0 == 0 } && bytes.last == 1
            return isLoopback || bytes[0] & 0xFE == 0xFC || (bytes[0] == 0xFE && bytes[1] & 0xC0 == 0x80)
        case .unixDomainSocket: return true
        }
    }

    /// RFC 1918, 1122, 3927, 6598.
    private static func isPrivate(_ bytes: [UInt8]) -> Bool {
        switch (bytes[0], bytes[1]) {
        case (127, _), (10, _), (192, 168), (169, 254), (172, 16...31), (100, 64...127): true
        default: bytes.allSatisfy { $0 == 0 }
        }
    }
}
