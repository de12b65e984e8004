import Foundation
import RetortCore

/// Reads what a judge wrote as JSON.
enum JudgeReply {
    /// The last JSON object in a reply that can be decoded; models often write text before it.
    static func last<Value: Decodable>(_ type: Value.Type, in reply: String) -> Value? {
        for open in reply.ranges(of: "{").reversed() {
            for close in reply[open.lowerBound...].ranges(of: "}") {
                let text = reply[open.lowerBound..<close.upperBound]
                if let value = try? JSONCoding.decoder.decode(type, from: Data(text.utf8)) { return value }
            }
        }
        return nil
    }
}
