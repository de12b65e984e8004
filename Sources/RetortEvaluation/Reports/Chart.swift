import Foundation

/// Small charts as inline SVG; colours come from the page's style.
package enum Chart {
    /// A bar with its interval, all in percent.
    struct Bar {
        let label: String
        let value: Double
        let low: Double
        let high: Double
        let tone: Int
    }

    /// A line through points.
    package struct Line {
        let label: String
        let tone: Int
        let points: [(x: Double, y: Double)]

        /// - Parameter tone: which of the style's colours it has.
        package init(label: String, tone: Int, points: [(x: Double, y: Double)]) {
            (self.label, self.tone, self.points) = (label, tone, points)
        }
    }

    /// Horizontal bars, one below the other, from 0 to 100 %.
    static func bars(_ bars: [Bar]) -> String {
        let (left, width, row) = (margin(bars.map(\.label)), 260.0, 26.0)
        let height = Double(bars.count) * row + 18
        func x(_ value: Double) -> String { number(left + value / 100 * width) }
        var parts: [String] = []
        for tick in stride(from: 0.0, through: 100, by: 25) {
            parts.append(
                "<line class=\"grid\" x1=\"\(x(tick))\" x2=\"\(x(tick))\" y1=\"0\" y2=\"\(number(height - 16))\"/>")
            parts.append("<text class=\"tick\" x=\"\(x(tick))\" y=\"\(number(height - 4))\">\(Int(tick))</text>")
        }
        for (index, bar) in bars.enumerated() {
            let y = Double(index) * row + 5
            let middle = number(y + 8)
            parts.append(
                "<text class=\"label\" x=\"\(number(left - 8))\" y=\"\(number(y + 12))\">\(bar.label.escaped)</text>")
            parts.append(
                "<rect class=\"tone\(bar.tone)\" x=\"\(number(left))\" y=\"\(number(y))\" height=\"16\" rx=\"2\" "
                    + "width=\"\(number(max(bar.value / 100 * width, 1)))\"/>")
            parts.append(
                "<line class=\"whisker\" x1=\"\(x(bar.low))\" x2=\"\(x(bar.high))\" y1=\"\(middle)\" y2=\"\(middle)\"/>"
            )
            parts.append(
                "<text class=\"value\" x=\"\(number(left + bar.high / 100 * width + 6))\" y=\"\(number(y + 12))\">"
                    + "\(number(bar.value))</text>")
        }
        let spoken = bars.map { "\($0.label) \(number($0.value)) percent" }.joined(separator: ", ")
        return svg(width: left + width + 40, height: height, parts, label: spoken)
    }

    /// Bars that are divided into shares of a whole, with a legend.
    /// - Parameter bars: as many counts as there are names.
    static func shares(_ bars: [(label: String, counts: [Int])], names: [String]) -> String {
        let (left, width, row) = (margin(bars.map(\.label)), 420.0, 26.0)
        let used = names.indices.filter { index in bars.contains { $0.counts[index] > 0 } }
        let perLine = 4
        let legend = Double((used.count + perLine - 1) / perLine) * 16
        var parts: [String] = []
        for (place, index) in used.enumerated() {
            let x = left + Double(place % perLine) * 108
            let y = Double(place / perLine) * 16
            parts.append(
                "<rect class=\"cause\(index)\" x=\"\(number(x))\" y=\"\(number(y))\" width=\"10\" height=\"10\" rx=\"2\"/>"
            )
            parts.append(
                "<text class=\"key\" x=\"\(number(x + 14))\" y=\"\(number(y + 9))\">\(names[index].escaped)</text>")
        }
        for (line, bar) in bars.enumerated() {
            let y = legend + 8 + Double(line) * row
            let total = Double(max(bar.counts.reduce(0, +), 1))
            parts.append(
                "<text class=\"label\" x=\"\(number(left - 8))\" y=\"\(number(y + 12))\">\(bar.label.escaped)</text>")
            var start = left
            for index in used where bar.counts[index] > 0 {
                let size = Double(bar.counts[index]) / total * width
                parts.append(
                    "<rect class=\"cause\(index)\" x=\"\(number(start))\" y=\"\(number(y))\" height=\"16\" "
                        + "width=\"\(number(size))\"><title>\(names[index].escaped): \(bar.counts[index])</title></rect>"
                )
                start += size
            }
        }
        return svg(
            width: left + width + 8, height: legend + 8 + Double(bars.count) * row, parts,
            label: "shares of \(used.map { names[$0] }.joined(separator: ", ")); the table below has the numbers")
    }

    /// Lines over a common axis, from 0 to `ceiling`.
    package static func lines(_ lines: [Line], ceiling: Double, name: (Double) -> String) -> String {
        let (left, top, width, height) = (36.0, 10.0, 300.0, 150.0)
        let xs = lines.flatMap { $0.points.map(\.x) }
        let (low, high) = (xs.min() ?? 0, xs.max() ?? 1)
        func x(_ value: Double) -> Double { left + (high > low ? (value - low) / (high - low) : 0.5) * width }
        func y(_ value: Double) -> Double { top + height * (1 - value / max(ceiling, 1e-9)) }
        var parts: [String] = []
        for share in [0.0, 0.5, 1] {
            let position = number(y(ceiling * share))
            parts.append(
                "<line class=\"grid\" x1=\"\(number(left))\" x2=\"\(number(left + width))\" y1=\"\(position)\" y2=\"\(position)\"/>"
            )
            parts.append(
                "<text class=\"label\" x=\"\(number(left - 5))\" y=\"\(number(y(ceiling * share) + 4))\">\(number(ceiling * share))</text>"
            )
        }
        for end in low < high ? [low, high] : [low] {
            parts.append(
                "<text class=\"tick\" x=\"\(number(x(end)))\" y=\"\(number(top + height + 14))\">\(name(end).escaped)</text>"
            )
        }
        for line in lines {
            let path = line.points.map { "\(number(x($0.x))),\(number(y($0.y)))" }.joined(separator: " ")
            parts.append("<polyline class=\"tone\(line.tone)\" points=\"\(path)\"/>")
            if let last = line.points.last, !line.label.isEmpty {
                parts.append(
                    "<text class=\"value\" x=\"\(number(x(last.x) + 5))\" y=\"\(number(y(last.y) + 4))\">\(line.label.escaped)</text>"
                )
            }
        }
        let spoken = lines.map { line in
            "\(line.label) from \(number(line.points.first?.y ?? 0)) to \(number(line.points.last?.y ?? 0))"
        }.joined(separator: ", ")
        return svg(width: left + width + 74, height: top + height + 20, parts, label: spoken)
    }

    /// The space for the longest label beside the bars.
    private static func margin(_ labels: [String]) -> Double { Double(labels.map(\.count).max() ?? 0) * 6 + 20 }

    /// - Parameter label: a description for those who cannot see the chart.
    private static func svg(width: Double, height: Double, _ parts: [String], label: String) -> String {
        "<svg viewBox=\"0 0 \(number(width)) \(number(height))\" role=\"img\" aria-label=\"\(label.escaped)\">"
            + "\(parts.joined())</svg>"
    }

    /// With at most one digit after the point.
    private static func number(_ value: Double) -> String {
        let rounded = (value * 10).rounded() / 10
        return rounded == rounded.rounded() ? String(Int(rounded)) : String(rounded)
    }
}
