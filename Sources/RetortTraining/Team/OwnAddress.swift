import Foundation

/// The address that this machine has for others.
enum OwnAddress {
    /// The one from which packets go to a host: the kernel chooses it, and none is sent.
    /// - Returns: a numeric address; the loopback's where the host is unknown.
    static func towards(_ host: String) -> String {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, "9", &hints, &list) == 0 else { return "127.0.0.1" }
        defer { freeaddrinfo(list) }
        var next = list
        while let info = next?.pointee {
            if let found = source(towards: info) { return found }
            next = info.ai_next
        }
        return "127.0.0.1"
    }

    private static func source(towards info: addrinfo) -> String? {
        let descriptor = socket(info.ai_family, info.ai_socktype, info.ai_protocol)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        guard connect(descriptor, info.ai_addr, info.ai_addrlen) == 0 else { return nil }
        var own = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        let isKnown = withUnsafeMutablePointer(to: &own) { storage in
            storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                getsockname(descriptor, address, &length) == 0
                    && getnameinfo(address, length, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0
            }
        }
        return isKnown ? String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self) : nil
    }
}
