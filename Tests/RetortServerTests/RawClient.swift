import Foundation
import Testing

#if canImport(Glibc)
    import Glibc
#endif

extension TestServer {
    /// Sends bytes over a connection of their own, and reads until the server closes it.
    /// - Parameter ends: whether the client says that it sends no more.
    func exchange(_ text: String, ends: Bool = false) async throws -> String {
        let port = port
        return try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(with: Result { try Self.exchange(text, port, ends: ends) })
            }
        }
    }

    private static func exchange(_ text: String, _ port: Int, ends: Bool) throws -> String {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        var patience = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(connected == 0)
        let bytes = Array(text.utf8)
        try #require(Glibc.send(socket, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count)
        if ends { shutdown(socket, Int32(SHUT_WR)) }
        var answer: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = recv(socket, &piece, piece.count, 0)
            try #require(count >= 0, "the connection stays open behind \(String(decoding: answer, as: UTF8.self))")
            if count == 0 { return String(decoding: answer, as: UTF8.self) }
            answer += piece[..<count]
        }
    }
}
