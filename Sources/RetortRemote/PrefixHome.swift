import Foundation
import RetortCore

/// What requests of one agent have in common: the beginning of their chats. The endpoint that has read it goes on from its cache.
///
/// Endpoints are ranked for it by weighted rendezvous hashing (C. Schindelhauer and G. Schomaker, Weighted Distributed Hash Tables, 2005):
/// when one rests or comes back, only its own chats move.
struct PrefixHome: Sendable, Hashable {
    private let hash: UInt64

    init(_ text: some Sequence<UInt8>) {
        // FNV-1a, the same in every process: workers of a fleet share replicas.
        hash = text.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }

    /// The chat up to what the user said first; nil for a request without a chat.
    init?(_ request: GenerationRequest) {
        guard let first = request.messages.firstIndex(where: { $0.role == .user }) else { return nil }
        self.init(request.messages[...first].map(\.text).joined(separator: "\u{0}").utf8)
    }

    /// How well an endpoint suits; the highest is its home.
    /// - Parameter weight: of the endpoint, above 0.
    func score(_ index: Int, weight: Double) -> Double {
        // SplitMix64's finalizer (G. Steele and others, 2014).
        var mixed = hash &+ UInt64(index &+ 1) &* 0x9e37_79b9_7f4a_7c15
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        mixed ^= mixed >> 31
        let even = (Double(mixed >> 11) + 0.5) / Double(1 << 53)
        return -weight / log(even)
    }
}
