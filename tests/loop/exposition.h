/* SPDX-License-Identifier: MIT */
/*
 * exposition.h - a strict reader of Prometheus' text exposition format 0.0.4.
 *
 * Stricter than the format: each family has a HELP and a TYPE line, in this order, and then all its
 * samples; there are no comments, empty lines, times or other blanks; counters end in _total;
 * histograms have their buckets in ascending order.
 */
#ifndef ROTA_TESTS_EXPOSITION_H
#define ROTA_TESTS_EXPOSITION_H

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

class Exposition {
public:
    using Labels = std::vector<std::pair<std::string, std::string>>;

    explicit Exposition(const std::string &text)
    {
        try {
            read(text);
        } catch (const std::exception &wrong) {
            error_ = wrong.what();
        }
    }

    /* What is wrong with the text; nothing if it is empty. */
    const std::string &error() const
    {
        return error_;
    }

    bool has(const std::string &sample) const
    {
        return values_.count(sample) > 0;
    }

    /* The value of a sample, as "name{key="value"}", labels unescaped; not a number if it is not
     * there. */
    double value(const std::string &sample) const
    {
        auto found = values_.find(sample);
        return found != values_.end() ? found->second : NAN;
    }

    const std::map<std::string, double> &values() const
    {
        return values_;
    }

    const std::set<std::string> &families() const
    {
        return families_;
    }

private:
    static void require(bool condition, const std::string &what, const std::string &line)
    {
        if (!condition)
            throw std::runtime_error(what + ": " + line);
    }

    static bool is_utf8(const std::string &text)
    {
        for (std::size_t i = 0; i < text.size();) {
            auto byte = [&](std::size_t at) -> unsigned {
                return at < text.size() ? (unsigned char)text[at] : 0;
            };
            std::size_t more = byte(i) < 0x80             ? 0
                               : (byte(i) & 0xe0) == 0xc0 ? 1
                               : (byte(i) & 0xf0) == 0xe0 ? 2
                               : (byte(i) & 0xf8) == 0xf0 ? 3
                                                          : 9;
            if (more == 9)
                return false;
            unsigned code = more == 0 ? byte(i) : byte(i) & (0x3fu >> more);
            for (std::size_t k = 1; k <= more; k++) {
                if ((byte(i + k) & 0xc0) != 0x80)
                    return false;
                code = code << 6 | (byte(i + k) & 0x3f);
            }
            const unsigned least[] = {0, 0x80, 0x800, 0x10000};
            if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
                return false;
            i += more + 1;
        }
        return true;
    }

    void read(const std::string &text)
    {
        require(!text.empty() && text.back() == '\n', "the last line does not end", text);
        require(is_utf8(text), "not UTF-8", text);
        std::istringstream lines(text);
        for (std::string line; std::getline(lines, line);)
            read_line(line);
        end_family();
    }

    void read_line(const std::string &line)
    {
        static const std::regex help("# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (\\S.*\\S)");
        static const std::regex type("# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram)");
        std::smatch match;
        if (std::regex_match(line, match, help)) {
            end_family();
            family_ = match[1];
            require(families_.insert(family_).second, "a family twice", line);
        } else if (std::regex_match(line, match, type)) {
            require(match[1] == family_ && type_.empty(), "TYPE not behind its HELP", line);
            type_ = match[2];
            bool total = family_.size() > 6 && family_.ends_with("_total");
            require(total == (type_ == "counter"), "_total is for counters", line);
        } else {
            require(!type_.empty(), "a sample without a family", line);
            read_sample(line);
        }
    }

    /* The labels at `at`, which is behind them afterwards. */
    static Labels read_labels(const std::string &line, std::size_t &at)
    {
        Labels labels;
        while (line.at(at) != '}') {
            std::size_t equals = line.find("=\"", at);
            require(equals != std::string::npos, "no label", line);
            std::string key = line.substr(at, equals - at), text;
            static const std::regex name("[a-zA-Z_][a-zA-Z0-9_]*");
            require(std::regex_match(key, name), "the name of a label", line);
            for (at = equals + 2; line.at(at) != '"'; at++) {
                if (line[at] == '\\') {
                    char next = line.at(++at);
                    require(next == '\\' || next == '"' || next == 'n', "an escape", line);
                    text += next == 'n' ? '\n' : next;
                } else {
                    text += line[at];
                }
            }
            labels.emplace_back(key, text);
            at++;
            require(line.at(at) == ',' || line[at] == '}', "behind a label", line);
            at += line[at] == ',' && line.at(at + 1) != '}';
        }
        at++;
        return labels;
    }

    void read_sample(const std::string &line)
    {
        std::size_t at = line.find_first_of("{ ");
        require(at != std::string::npos, "no value", line);
        std::string name = line.substr(0, at);
        Labels labels;
        if (line[at] == '{')
            labels = read_labels(line, ++at);
        require(line.at(at) == ' ', "no blank before the value", line);
        static const std::regex number("[0-9]+(\\.[0-9]+)?");
        std::string rest = line.substr(at + 1);
        require(std::regex_match(rest, number), "no number", line);
        double value = std::strtod(rest.c_str(), nullptr);
        std::string key = name + format(labels);
        require(values_.emplace(key, value).second, "a sample twice", line);
        if (type_ == "histogram")
            read_histogram(line, name, labels, value);
        else
            require(name == family_, "a sample of another family", line);
    }

    static std::string format(const Labels &labels)
    {
        std::string text;
        for (const auto &[key, value] : labels)
            text += (text.empty() ? "{" : ",") + key + "=\"" + value + "\"";
        return text.empty() ? text : text + "}";
    }

    struct Series {
        double le = -1;
        double cumulative = 0;
        bool infinite = false, has_sum = false, has_count = false;
    };

    void read_histogram(const std::string &line, const std::string &name, Labels labels,
                        double value)
    {
        std::string le;
        if (name == family_ + "_bucket") {
            require(!labels.empty() && labels.back().first == "le", "no bound", line);
            le = labels.back().second;
            labels.pop_back();
        }
        Series &series = series_[format(labels)];
        if (name == family_ + "_bucket") {
            double bound = le == "+Inf" ? INFINITY : std::strtod(le.c_str(), nullptr);
            require(bound > series.le, "bounds do not ascend", line);
            require(value >= series.cumulative, "buckets are not cumulative", line);
            series.le = bound;
            series.cumulative = value;
            series.infinite = std::isinf(bound);
        } else if (name == family_ + "_sum") {
            series.has_sum = true;
        } else {
            require(name == family_ + "_count", "a sample of another family", line);
            require(series.infinite && value == series.cumulative, "+Inf is not the count", line);
            series.has_count = true;
        }
    }

    void end_family()
    {
        require(family_.empty() || !type_.empty(), "no TYPE", family_);
        for (const auto &[labels, series] : series_)
            require(series.infinite && series.has_sum && series.has_count, "half a histogram",
                    family_ + labels);
        series_.clear();
        type_.clear();
    }

    std::string error_, family_, type_;
    std::map<std::string, Series> series_; /* of a histogram, by labels */
    std::set<std::string> families_;
    std::map<std::string, double> values_;
};

#endif
